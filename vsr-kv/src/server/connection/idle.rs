//! Memory that a connection does not keep while nothing is under way: there may be thousands that are silent.

use bytes::BytesMut;

/// A buffer up to this size is kept for the next request, or reply.
const KEPT_BYTES: usize = 64 << 10;

/// Replaces an empty buffer that had to be large once.
pub(super) fn give_back(buffer: &mut BytesMut) {
    // The capacity alone does not tell: bytes that were taken out at the front do not count in it.
    if buffer.is_empty() && buffer.try_reclaim(KEPT_BYTES + 1) {
        *buffer = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    #[test]
    fn a_buffer_that_was_large_is_replaced_once_it_is_empty() {
        for bytes in [KEPT_BYTES + 1, 4 << 20] {
            let mut out = BytesMut::new();
            out.resize(bytes, 0);
            out.advance(bytes - 1);
            give_back(&mut out);
            assert_eq!(out.len(), 1);
            out.advance(1);
            give_back(&mut out);
            assert!(!out.try_reclaim(1), "it is still there");
            // Its bytes were handed on, and are gone.
            let mut input = BytesMut::new();
            input.resize(bytes, 0);
            drop(input.split_to(bytes).freeze());
            give_back(&mut input);
            assert!(!input.try_reclaim(1), "it is still there");
        }
    }

    #[test]
    fn a_small_buffer_stays() {
        let mut out = BytesMut::with_capacity(KEPT_BYTES);
        out.resize(KEPT_BYTES, 0);
        out.advance(KEPT_BYTES);
        give_back(&mut out);
        assert!(out.try_reclaim(KEPT_BYTES), "it was replaced");
    }
}
