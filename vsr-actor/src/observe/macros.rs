//! What the table of events is made into.

/// Makes of one list: the events as a type, the table that documentation is written from, and the only place where an event goes to
/// tracing and to metrics. So a name, a field or a metric that is in one of them is in all.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        $enum:ident $(<$life:lifetime>)? in $table:ident, $meters_type:ident,
        |$common:ident: $common_type:ty| $common_fields:tt
        $($target:literal { $(
        $(#[doc = $meaning:literal])+
        $event:ident $level:ident $name:literal $(for $original:literal)?
        { $($field:ident: $type:ty),* $(,)? }
        [$($meter:ident($($argument:expr),*)),+ $(,)?];
    )+ })+) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the fields are named after what they hold; each variant is documented")]
        pub enum $enum $(<$life>)? {
            $($($(#[doc = $meaning])+ $event { $($field: $type),* },)+)+
        }

        impl $(<$life>)? $enum $(<$life>)? {
            const DEFINITIONS: &'static [Definition] = &[$($(Definition {
                name: $name,
                target: $target,
                level: Level::$level,
                meaning: concat!($($meaning),+).trim_ascii(),
                original: [$(Some($original),)? None][0],
                fields: &[$(FieldDefinition { name: stringify!($field), what: <$type as Field>::WHAT }),*],
                metrics: &[$(concat!("vsr_", stringify!($meter))),+],
            },)+)+];

            #[doc = concat!("Its row in [`", stringify!($table), "`].")]
            #[must_use]
            pub fn definition(&self) -> &'static Definition {
                &$table[self.index()]
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
            pub(super) fn tell(&self, meters: &mut $meters_type, $common: $common_type) {
                match self {
                    $($(Self::$event { $($field),* } => {
                        $(meters.$meter.take($($argument),*);)+
                        traced!($name $target $level $common_fields $($field)*);
                    })+)+
                }
            }
        }

        /// Every event there is, by topic.
        pub static $table: &[Definition] = $enum::DEFINITIONS;
    };
}

/// Tells tracing of one event: the fields that all have, then its own.
macro_rules! traced {
    ($name:literal $target:literal $level:ident { $($key:ident = $value:expr),+ $(,)? } $($field:ident)*) => {
        tracing::event!(
            name: $name,
            target: $target,
            tracing::Level::$level,
            { $($key = $value,)+ $($field = Field::plain($field),)* },
            $name
        )
    };
}

pub(super) use {table, traced};
