//! What the table of events is made into.

/// Makes of one list: the events as a type, the table that documentation is written from, and the only place where an event goes to
/// tracing and to metrics. So a name, a field or a metric that is in one of them is in all.
macro_rules! table {
    ($life:lifetime $($target:literal { $(
        $(#[doc = $meaning:literal])+
        $event:ident $level:ident $name:literal $(for $original:literal)?
        { $($field:ident: $type:ty),* $(,)? }
        [$($meter:ident($($argument:expr),*)),+ $(,)?];
    )+ })+) => {
        /// What happened, with everything that is special to it. What all events have in common is [`Common`](crate::observe::Common).
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the fields are named after what they hold; each variant is documented")]
        pub enum Event<$life> {
            $($($(#[doc = $meaning])+ $event { $($field: $type),* },)+)+
        }

        impl<$life> Event<$life> {
            const DEFINITIONS: &'static [Definition] = &[$($(Definition {
                name: $name,
                target: $target,
                level: Level::$level,
                meaning: concat!($($meaning),+).trim_ascii(),
                original: [$(Some($original),)? None][0],
                fields: &[$(FieldDefinition { name: stringify!($field), what: <$type as Field>::WHAT }),*],
                metrics: &[$(concat!("vsr_", stringify!($meter))),+],
            },)+)+];

            /// Its row in [`EVENTS`].
            #[must_use]
            pub fn definition(&self) -> &'static Definition {
                &EVENTS[self.index()]
            }

            pub(super) fn index(&self) -> usize {
                enum Index { $($($event,)+)+ }
                match self { $($(Self::$event { .. } => Index::$event as usize,)+)+ }
            }

            /// The fields that only this event has, in the order of the table.
            #[must_use]
            pub fn fields(&self) -> Vec<(&'static str, Value<'_>)> {
                match self {
                    $($(Self::$event { $($field),* } => vec![
                        $((stringify!($field), Field::plain($field).into())),*
                    ],)+)+
                }
            }

            /// Counts it, and tells it to tracing. The values of the fields are only computed if a subscriber wants them.
            pub(super) fn tell(&self, meters: &mut Meters, common: &Lazy<'_>) {
                match self {
                    $($(Self::$event { $($field),* } => {
                        $(meters.$meter.take($($argument),*);)+
                        tracing::event!(
                            name: $name,
                            target: $target,
                            tracing::Level::$level,
                            {
                                group = common.get().group.plain(),
                                node_id = common.get().node_id.plain(),
                                view_number = common.get().view_number.plain(),
                                status = common.get().status.plain(),
                                is_primary = common.get().is_primary,
                                cluster_size = common.get().cluster_size.plain(),
                                op_number = common.get().op_number.plain(),
                                commit_number = common.get().commit_number.plain(),
                                $($field = Field::plain($field),)*
                            },
                            $name
                        );
                    })+)+
                }
            }
        }

        /// Every event there is, by topic.
        pub static EVENTS: &[Definition] = Event::<'static>::DEFINITIONS;
    };
}

pub(super) use table;
