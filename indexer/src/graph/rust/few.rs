//! A short list of numbers that lies where it is used: most paths have one or two segments, and an
//! allocation for each would cost more than the numbers.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Numbers that fit without an allocation.
const INLINE: usize = 3;

/// A list of numbers, in 16 bytes if it is short. Stored as any list is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u32>", into = "Vec<u32>")]
pub struct Few(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    Inline(u8, [u32; INLINE]),
    #[expect(
        clippy::box_collection,
        reason = "one pointer: the rare case must not widen the other"
    )]
    Long(Box<Vec<u32>>),
}

impl Few {
    pub fn push(&mut self, number: u32) {
        match &mut self.0 {
            Inner::Inline(n, inline) if (*n as usize) < INLINE => {
                inline[*n as usize] = number;
                *n += 1;
            }
            Inner::Inline(..) => {
                let mut all = self.to_vec();
                all.push(number);
                self.0 = Inner::Long(Box::new(all));
            }
            Inner::Long(all) => all.push(number),
        }
    }
}

impl Default for Few {
    fn default() -> Self {
        Self(Inner::Inline(0, [0; INLINE]))
    }
}

impl Deref for Few {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match &self.0 {
            Inner::Inline(n, inline) => &inline[..*n as usize],
            Inner::Long(all) => all,
        }
    }
}

impl Extend<u32> for Few {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, numbers: I) {
        numbers.into_iter().for_each(|number| self.push(number));
    }
}

impl FromIterator<u32> for Few {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut few = Self::default();
        few.extend(numbers);
        few
    }
}

impl From<Vec<u32>> for Few {
    fn from(numbers: Vec<u32>) -> Self {
        if numbers.len() > INLINE {
            return Self(Inner::Long(Box::new(numbers)));
        }
        numbers.into_iter().collect()
    }
}

impl From<Few> for Vec<u32> {
    fn from(few: Few) -> Self {
        few.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lists_are_lists() {
        assert_eq!(size_of::<Few>(), 16);
        for n in 0..8 {
            let numbers: Vec<u32> = (0..n).collect();
            let few: Few = numbers.iter().copied().collect();
            assert_eq!((&*few, Few::from(numbers.clone())), (&*numbers, few.clone()));
            let stored = postcard::to_allocvec(&few).expect("plain data");
            assert_eq!(stored, postcard::to_allocvec(&numbers).expect("plain data"));
            assert_eq!(postcard::from_bytes::<Few>(&stored).expect("as written"), few);
        }
    }
}
