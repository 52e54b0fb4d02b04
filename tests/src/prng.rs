//! The only source of chance: a seed and this generator (xoshiro256**, seeded by splitmix64).

/// A small, fast, reproducible generator.
///
/// ```
/// use vsr_test::Prng;
///
/// let mut random = Prng::new(7);
/// let (dice, coin, name) = (random.range(1, 6), random.chance(500), random.pick(&["Ada", "Bob"]));
/// let mut again = Prng::new(7);
/// assert_eq!((dice, coin, name), (again.range(1, 6), again.chance(500), again.pick(&["Ada", "Bob"])));
/// assert!(random.below(10) < 10 && random.index(3) < 3);
/// ```
#[derive(Clone, Debug)]
pub struct Prng([u64; 4]);

impl Prng {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(state)
        };
        Self([next(), next(), next(), next()])
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`; 0 if there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: without a division, and the bias is far below what a test could notice.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A position in something that has `len` of them.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number in `low..=high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `per_mille` of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of `options`.
    pub fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.index(options.len())]
    }

    /// Mostly small, sometimes large: a delay with the given mean, at most eight times the mean.
    pub fn delay(&mut self, mean: u64) -> u64 {
        let spread = 1 << self.below(4);
        self.below(mean.saturating_mul(spread) / 2 + 1)
    }
}

/// Scrambles a number: neighbours become strangers.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
