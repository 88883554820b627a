//! The names of a file in two allocations: a file has hundreds of short ones, and an allocation for each
//! would take more memory than the letters.

use std::{fmt, ops::Index};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// A list of texts that only grows. Stored as any list of texts is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names {
    letters: String,
    /// Where each name ends.
    ends: Vec<u32>,
}

impl Names {
    /// # Panics
    /// If all names together have 4 GiB; a file is far smaller.
    pub fn push(&mut self, name: &str) {
        self.letters.push_str(name);
        self.ends.push(u32::try_from(self.letters.len()).expect("a file is smaller than 4 GiB"));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.letters[start..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| &self[index])
    }

    /// Gives back the room for names that did not come.
    pub fn shrink_to_fit(&mut self) {
        self.letters.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl Index<usize> for Names {
    type Output = str;

    fn index(&self, index: usize) -> &str {
        self.get(index).expect("indexes come from the same file's facts")
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.len()).map(|index| &self[index]))
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let mut names = Names::default();
        while list.next_element_seed(One(&mut names))?.is_some() {}
        names.shrink_to_fit();
        Ok(names)
    }
}

/// One element, which goes to the end of the list.
struct One<'a>(&'a mut Names);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        // Damaged input could name more than one file can have.
        if self.0.letters.len() + name.len() > u32::MAX as usize {
            return Err(E::custom("the names of one file are larger than any file"));
        }
        self.0.push(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_are_stored_as_a_list_of_texts() {
        let plain = vec!["first", "", "größe", "x"];
        let mut names = Names::default();
        plain.iter().for_each(|name| names.push(name));
        assert_eq!(names.iter().collect::<Vec<_>>(), plain);
        assert_eq!((names.len(), names.get(4), &names[2]), (4, None, "größe"));
        let bytes = postcard::to_allocvec(&names).expect("encoded");
        assert_eq!(bytes, postcard::to_allocvec(&plain).expect("encoded"));
        assert_eq!(postcard::from_bytes::<Names>(&bytes).expect("decoded"), names);
    }
}
