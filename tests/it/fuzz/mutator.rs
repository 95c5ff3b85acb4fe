//! Inputs made of others, the same ones for the same seed.

/// Bytes at which parsers turn.
const EDGES: &[u8] = b"\0\x01\x20\"$%&'+,-./0123456789:;<=>?@[\\]^_`{|}~\x7f\x80\xc0\xe0\xf0\xff";
const LONGEST: usize = 4_096;

pub(crate) struct Mutator<'c> {
    state: u64,
    corpus: &'c [Vec<u8>],
}

impl<'c> Mutator<'c> {
    pub(crate) fn new(seed: u64, corpus: &'c [Vec<u8>]) -> Self {
        assert!(!corpus.is_empty());
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, corpus }
    }

    /// One of the corpus, changed in one to eight places.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick().to_vec();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let edge = EDGES[self.below(EDGES.len())];
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = edge,
            2 => input.insert(at, edge),
            3 if at < input.len() => drop(input.remove(at)),
            4 => input.truncate(at),
            5 => {
                let end = at + self.below(input.len() - at + 1);
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            6 => {
                let end = at + self.below(input.len() - at + 1);
                input.drain(at..end);
            }
            7 => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let any = self.draw().to_le_bytes();
                let length = self.below(any.len() + 1);
                input.splice(at..at, any[..length].iter().copied());
            }
        }
    }

    fn pick(&mut self) -> &'c [u8] {
        &self.corpus[self.below(self.corpus.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }

    /// xorshift64*
    fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
