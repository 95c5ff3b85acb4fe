//! The image of a token and a device: the keyed hash under which an entry is found.
//!
//! **Construction.** Two sums of products of the text, each under a part of the key (NH), and
//! SipHash-2-4 with 128 bits over the two sums and the number of bytes of the device. SipHash over
//! the whole text would compress fourteen words for a device of 32 bytes, each of which waits for
//! the one before it. Now it compresses five, and the products do not wait for one another.
//!
//! **Why it is as good.** Two texts of equal lengths have equal sums with a probability of at most
//! 2^-128 over the key (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, CRYPTO 1999: NH with words
//! of 64 bits and a Toeplitz key is 2^-128-almost-universal). Texts of different lengths differ in
//! what SipHash gets beside the sums. A pseudorandom function of an almost-universal hash is a
//! pseudorandom function: the images of `q` texts differ from random by at most `q²/2^129` more
//! than those of SipHash do, which is how often `q` ideal images of 128 bits collide as well. The
//! sums are never stored or compared.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::error::Result;
use crate::value::limits::{DEVICE_ID_MAX_BYTES, TOKEN_TEXT_BYTES};
use crate::value::name::DeviceId;
use crate::value::principal::CacheHint;
use crate::value::random::{RandomSource, random_bytes};

/// The image of a token and a device, as presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image(pub(super) u128);

/// The random key of one cache.
pub(super) struct ImageKey {
    /// The words that are added to the blocks. The second sum begins one pair later.
    pairs: [[u64; 2]; BLOCKS_MAX + 1],
    sip: [u64; 2],
}

/// Number of bytes whose two words are multiplied with each other.
const BLOCK: usize = 16;
const TOKEN_BLOCKS: usize = TOKEN_TEXT_BYTES.div_ceil(BLOCK);
const BLOCKS_MAX: usize = TOKEN_BLOCKS + DEVICE_ID_MAX_BYTES.div_ceil(BLOCK);

impl ImageKey {
    pub(super) fn random(random: &dyn RandomSource) -> Result<Self> {
        let bytes: [u8; (BLOCKS_MAX + 2) * BLOCK] = random_bytes(random)?;
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let mut pairs = [[0; 2]; BLOCKS_MAX + 1];
        for (pair, block) in pairs.iter_mut().zip(blocks) {
            *pair = words(block);
        }
        let sip = blocks.last().map(words).unwrap_or_default();
        Ok(Self { pairs, sip })
    }

    /// The image of a token and a device; `None` if the text cannot be a token.
    #[inline(always)]
    pub(super) fn image(&self, token: &str, device: Option<&DeviceId>) -> Option<Image> {
        let token: &[u8; TOKEN_TEXT_BYTES] = token.as_bytes().try_into().ok()?;
        let device = device.map_or(&[][..], |device| device.as_str().as_bytes());
        let (mut first, mut second) = (0_u128, 0_u128);
        let mut keys = self.pairs.iter().zip(self.pairs.iter().skip(1));
        let mut add = |block: &[u8; BLOCK]| {
            // There is a key for each block of the longest device.
            let Some((key, next)) = keys.next() else { return };
            first = first.wrapping_add(product(key, block));
            second = second.wrapping_add(product(next, block));
        };
        let (blocks, _) = token.as_chunks::<BLOCK>();
        blocks.iter().for_each(&mut add);
        // The last block overlaps the one before it, so that no byte is left over.
        token.last_chunk::<BLOCK>().into_iter().for_each(&mut add);
        let (blocks, rest) = device.as_chunks::<BLOCK>();
        blocks.iter().for_each(&mut add);
        if !rest.is_empty() {
            let mut padded = [0; BLOCK];
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            add(&padded);
        }
        let mut sip = self.sip();
        for sum in [first, second] {
            sip.write_u64(sum as u64);
            sip.write_u64((sum >> 64) as u64);
        }
        // Zero is no device, as no device is empty.
        sip.write_u8(device.len() as u8);
        Some(Image(sip.finish128().as_u128()))
    }

    /// SipHash with its key and no text yet.
    #[inline]
    fn sip(&self) -> SipHasher24 {
        let [low, high] = self.sip;
        SipHasher24::new_with_keys(low, high)
    }
}

/// The product of the words of a block, each under its key.
#[inline]
fn product([key_a, key_b]: &[u64; 2], block: &[u8; BLOCK]) -> u128 {
    let [a, b] = words(block);
    u128::from(key_a.wrapping_add(a)) * u128::from(key_b.wrapping_add(b))
}

#[inline]
fn words(block: &[u8; BLOCK]) -> [u64; 2] {
    let both = u128::from_le_bytes(*block);
    [both as u64, (both >> 64) as u64]
}

impl Image {
    /// The hint by which a principal of this image finds its entry again.
    #[inline]
    pub(crate) const fn place(self) -> CacheHint {
        CacheHint([self.0 as u64, (self.0 >> 64) as u64])
    }

    /// The image of that hint; `None` if the principal was not cached.
    #[inline]
    pub(crate) fn at(place: CacheHint) -> Option<Self> {
        let CacheHint([low, high]) = place;
        let image = (u128::from(high) << 64) | u128::from(low);
        (image != 0).then_some(Self(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::random::SystemRandom;

    fn key() -> ImageKey {
        ImageKey::random(&SystemRandom).unwrap()
    }

    fn device(bytes: usize) -> Option<DeviceId> {
        (bytes > 0).then(|| DeviceId::new(&text(bytes, 0x30)).unwrap())
    }

    fn text(bytes: usize, from: u8) -> String {
        (0..bytes).map(|at| char::from(from + (at * 7 % 64) as u8)).collect()
    }

    /// As the paper has it: words of 64 bits, zeros up to a pair, the key of the second sum two
    /// words later.
    fn by_the_paper(key: &ImageKey, token: &str, device: Option<&DeviceId>) -> u128 {
        let device = device.map_or("", DeviceId::as_str).as_bytes();
        let token = token.as_bytes();
        let mut message = [&token[..64], &token[58..], device].concat();
        message.resize(message.len().next_multiple_of(16), 0);
        let words: Vec<u64> =
            message.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let keys = key.pairs.as_flattened();
        let nh = |keys: &[u64]| {
            (0..words.len()).step_by(2).fold(0_u128, |sum, at| {
                let sums = [0, 1].map(|of| u128::from(keys[at + of].wrapping_add(words[at + of])));
                sum.wrapping_add(sums[0] * sums[1])
            })
        };
        let sums = [nh(keys), nh(&keys[2..])].map(u128::to_le_bytes);
        let message = [&sums[0][..], &sums[1], &[device.len() as u8]].concat();
        key.sip().hash(&message).as_u128()
    }

    #[test]
    fn an_image_is_that_of_the_paper_for_every_length_of_a_device() {
        let (key, token) = (key(), text(TOKEN_TEXT_BYTES, 0x30));
        for bytes in 0..=DEVICE_ID_MAX_BYTES {
            let device = device(bytes);
            let image = key.image(&token, device.as_ref()).unwrap();
            assert_eq!(image.0, by_the_paper(&key, &token, device.as_ref()), "{bytes} bytes");
        }
    }

    #[test]
    fn every_byte_of_token_and_device_and_every_length_counts() {
        let (key, token) = (key(), text(TOKEN_TEXT_BYTES, 0x30));
        let mut images = std::collections::HashSet::new();
        let mut add = |token: &str, device: Option<&str>| {
            let device = device.map(|device| DeviceId::new(device).unwrap());
            let image = key.image(token, device.as_ref()).unwrap();
            assert!(images.insert(image.0), "{token} {device:?}");
        };
        let changed = |text: &str, at: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1;
            String::from_utf8(bytes).unwrap()
        };
        add(&token, None);
        (0..TOKEN_TEXT_BYTES).for_each(|at| add(&changed(&token, at), None));
        for bytes in [1, 16, 31, DEVICE_ID_MAX_BYTES] {
            let device = text(bytes, 0x30);
            add(&token, Some(&device));
            (0..bytes).for_each(|at| add(&token, Some(&changed(&device, at))));
        }
        // What the padding has, and no more of it.
        (2..=16).for_each(|bytes| add(&token, Some(&"\0".repeat(bytes))));
    }

    #[test]
    fn two_caches_have_images_of_their_own() {
        let token = text(TOKEN_TEXT_BYTES, 0x30);
        assert_ne!(key().image(&token, None), key().image(&token, None));
    }

    /// The sums are as good as the module says only if no word of the key depends on another one.
    #[test]
    fn every_word_of_the_key_is_drawn_for_itself() {
        let key = key();
        let words = [key.pairs.as_flattened(), &key.sip].concat();
        assert_eq!(words.iter().collect::<std::collections::HashSet<_>>().len(), 30);
        assert!(!words.contains(&0));
    }

    #[test]
    fn a_text_of_another_length_than_a_token_has_no_image() {
        let (key, long) = (key(), text(2 * TOKEN_TEXT_BYTES, 0x30));
        for bytes in (0..=long.len()).filter(|bytes| *bytes != TOKEN_TEXT_BYTES) {
            assert_eq!(key.image(long.get(..bytes).unwrap(), None), None, "{bytes} bytes");
        }
    }

    #[test]
    fn a_place_names_its_image_and_no_place_names_none() {
        let image = key().image(&text(TOKEN_TEXT_BYTES, 0x30), None).unwrap();
        assert_eq!(Image::at(image.place()), Some(image));
        assert_eq!(Image::at(CacheHint::NOWHERE), None);
    }
}
