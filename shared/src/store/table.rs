//! Typed tables: a name, a key type and a row type, so that no step encodes by hand.

use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Batch, Direction, Entry, Key, PrefixOf, Range, Space, StoreError, View, key::skip_bytes,
    prefix_end, prefix_entries, scan_prefix,
};
use crate::id::to_hex;

/// A struct stored as one version byte and named MessagePack. `impl Row for X {}` is enough for the first version.
///
/// Named fields, because positional encoding swaps same-typed fields without an error. A stored shape is frozen: a
/// change of meaning is a new `VERSION`, and the old struct stays in a `mod v1` that [`Row::from_older`] reads.
pub trait Row: Serialize + DeserializeOwned {
    /// Written in front of every row.
    const VERSION: u8 = 1;

    /// Reads the MessagePack of an older version.
    ///
    /// # Errors
    /// A sentence when there is no such version, or the bytes are not of it.
    fn from_older(version: u8, body: &[u8]) -> Result<Self, String> {
        let _ = body;
        Err(format!(
            "it has version {version}, this program reads up to {}",
            Self::VERSION
        ))
    }
}

/// What a table can hold: every [`Row`], raw bytes, a number, yes or no, or nothing (an index).
pub trait Value: Sized {
    /// The stored bytes.
    ///
    /// # Errors
    /// A sentence when the value has no stored form.
    fn encode(&self) -> Result<Vec<u8>, String>;

    /// Reads stored bytes.
    ///
    /// # Errors
    /// A sentence when the bytes are no such value.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

impl<R: Row> Value for R {
    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut out = vec![R::VERSION];
        rmp_serde::encode::write_named(&mut out, self).map_err(|error| error.to_string())?;
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            None => Err("it is empty".into()),
            Some((version, body)) if *version == R::VERSION => {
                rmp_serde::from_slice(body).map_err(|error| error.to_string())
            }
            Some((version, body)) => R::from_older(*version, body),
        }
    }
}

impl Value for Vec<u8> {
    fn encode(&self) -> Result<Vec<u8>, String> {
        Ok(self.clone())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

impl Value for u64 {
    fn encode(&self) -> Result<Vec<u8>, String> {
        Ok(self.to_be_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes
            .try_into()
            .map_err(|_| format!("{} bytes, not 8", bytes.len()))?;
        Ok(Self::from_be_bytes(bytes))
    }
}

impl Value for bool {
    fn encode(&self) -> Result<Vec<u8>, String> {
        Ok(vec![u8::from(*self)])
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("it is neither 0 nor 1".into()),
        }
    }
}

impl Value for () {
    fn encode(&self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes, not 0", bytes.len()))
        }
    }
}

/// What typed writes go to: a [`Batch`] or an [`super::Overlay`].
pub trait Writer {
    /// Sets a key.
    fn put_raw(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>);
    /// Removes a key.
    fn delete_raw(&mut self, space: Space, key: Vec<u8>);
}

impl Writer for Batch {
    fn put_raw(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.put(space, key, value);
    }

    fn delete_raw(&mut self, space: Space, key: Vec<u8>) {
        self.delete(space, key);
    }
}

/// A table of rows `V` under keys `K`. A constant in a program's `tables.rs`:
///
/// ```
/// use trenza_shared::store::{Batch, Row, Space, StoreError, Table};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Visit { place: String }
/// impl Row for Visit {}
/// /// (agent's number, time) -> visit
/// const VISITS: Table<(u64, i64), Visit> = Table::new(Space("visit"));
/// let mut batch = Batch::new();
/// VISITS.put(&mut batch, &(7, -1), &Visit { place: "stand B".into() })?;
/// # Ok::<(), StoreError>(())
/// ```
pub struct Table<K, V> {
    space: Space,
    types: PhantomData<fn(&K) -> V>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> Table<K, V> {
    /// The table in `space`. Two tables must not share a space.
    pub const fn new(space: Space) -> Self {
        Self {
            space,
            types: PhantomData,
        }
    }

    /// Where it lies, for raw reads and writes.
    pub const fn space(&self) -> Space {
        self.space
    }
}

impl<K: Key, V: Value> Table<K, V> {
    /// The row of `key`.
    ///
    /// # Errors
    /// As [`View::get`]; [`StoreError::Corrupt`] names table and key when the row cannot be read.
    pub fn get(&self, view: &(impl View + ?Sized), key: &K) -> Result<Option<V>, StoreError> {
        let key = key.to_key();
        let Some(bytes) = view.get(self.space, &key)? else {
            return Ok(None);
        };
        self.row(&key, &bytes).map(Some)
    }

    /// True when `key` has a row, readable or not.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn has(&self, view: &(impl View + ?Sized), key: &K) -> Result<bool, StoreError> {
        Ok(view.get(self.space, &key.to_key())?.is_some())
    }

    /// Sets the row of `key`.
    ///
    /// # Errors
    /// [`StoreError::Unencodable`].
    pub fn put(&self, to: &mut impl Writer, key: &K, row: &V) -> Result<(), StoreError> {
        let bytes = row.encode().map_err(|detail| StoreError::Unencodable {
            space: self.space.0,
            detail,
        })?;
        to.put_raw(self.space, key.to_key(), bytes);
        Ok(())
    }

    /// Removes the row of `key`.
    pub fn delete(&self, to: &mut impl Writer, key: &K) {
        to.delete_raw(self.space, key.to_key());
    }

    /// At most `max` rows with `from <= key < to` (`None`: from the start, to the end).
    ///
    /// # Errors
    /// As [`View::scan`]; [`StoreError::Corrupt`] names table and key when a row cannot be read.
    pub fn scan(
        &self,
        view: &(impl View + ?Sized),
        from: Option<&K>,
        to: Option<&K>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let from = from.map(Key::to_key).unwrap_or_default();
        let to = to.map(Key::to_key);
        let range = Range {
            from: &from,
            to: to.as_deref(),
        };
        let found = view.scan(self.space, range, direction, max)?;
        found.iter().map(|entry| self.read(entry)).collect()
    }

    /// At most `max` rows whose key begins with `prefix`.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub fn scan_prefix(
        &self,
        view: &(impl View + ?Sized),
        prefix: &impl PrefixOf<K>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let found = scan_prefix(view, self.space, &prefix.to_key(), direction, max)?;
        found.iter().map(|entry| self.read(entry)).collect()
    }

    /// The rows with `from <= key` whose key begins with `prefix`: one page of a list.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub fn scan_prefix_from(
        &self,
        view: &(impl View + ?Sized),
        prefix: &impl PrefixOf<K>,
        from: &K,
        max: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let (prefix, from) = (prefix.to_key(), from.to_key());
        let to = prefix_end(&prefix);
        let range = Range {
            from: from.as_slice().max(&prefix),
            to: to.as_deref(),
        };
        let found = view.scan(self.space, range, Direction::Forward, max)?;
        found.iter().map(|entry| self.read(entry)).collect()
    }

    /// The last row whose key begins with `prefix`: the head of a log.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub fn last(
        &self,
        view: &(impl View + ?Sized),
        prefix: &impl PrefixOf<K>,
    ) -> Result<Option<(K, V)>, StoreError> {
        Ok(self.scan_prefix(view, prefix, Direction::Back, 1)?.pop())
    }

    /// Every row in order of keys, with bounded memory.
    pub fn rows<'a>(
        &self,
        view: &'a dyn View,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + use<'a, K, V> {
        self.rows_from_bytes(view, &[], Direction::Forward)
    }

    /// Every row whose key begins with `prefix`, with bounded memory.
    pub fn rows_of<'a, P: PrefixOf<K>>(
        &self,
        view: &'a dyn View,
        prefix: &P,
        direction: Direction,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + use<'a, K, V, P> {
        self.rows_from_bytes(view, &prefix.to_key(), direction)
    }

    fn rows_from_bytes<'a>(
        &self,
        view: &'a dyn View,
        prefix: &[u8],
        direction: Direction,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + use<'a, K, V> {
        let table = *self;
        prefix_entries(view, self.space, prefix, direction)
            .map(move |entry| entry.and_then(|entry| table.read(&entry)))
    }

    /// Reads a raw entry of this table.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] names table and key.
    pub fn read(&self, (key, bytes): &Entry) -> Result<(K, V), StoreError> {
        let row = self.row(key, bytes)?;
        let key = K::decode(key).ok_or_else(|| self.corrupt(key, "it is no key of this table"))?;
        Ok((key, row))
    }

    fn row(&self, key: &[u8], bytes: &[u8]) -> Result<V, StoreError> {
        V::decode(bytes).map_err(|detail| self.corrupt(key, &detail))
    }

    fn corrupt(&self, key: &[u8], detail: &str) -> StoreError {
        StoreError::Corrupt {
            space: self.space.0.into(),
            detail: format!("key {}: {detail}", to_hex(key)),
        }
    }
}

impl<K: Key, V: Value> Table<(String, K), V> {
    /// What is noted under the texts of `range`, at most `max`; texts and rows are not read.
    ///
    /// # Errors
    /// As [`Table::scan`].
    pub fn noted(
        &self,
        view: &(impl View + ?Sized),
        range: Range<'_>,
        max: usize,
    ) -> Result<Vec<K>, StoreError> {
        let (mut keys, mut wrong) = (Vec::new(), None);
        view.visit(self.space, range, max, &mut |key, _| {
            let mut rest = key;
            match skip_bytes(&mut rest).and_then(|()| K::decode(rest)) {
                Some(of) => keys.push(of),
                None => wrong = wrong.take().or_else(|| Some(key.to_vec())),
            }
        })?;
        match wrong {
            Some(key) => Err(self.corrupt(&key, "it is no key of this table")),
            None => Ok(keys),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{
        super::{Durable, MemStore, Overlay, Store},
        *,
    };

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
    struct Visit {
        place: String,
        guests: u32,
    }

    mod v1 {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub struct Visit {
            pub place: String,
        }
    }

    impl Row for Visit {
        const VERSION: u8 = 2;

        fn from_older(version: u8, body: &[u8]) -> Result<Self, String> {
            match version {
                1 => rmp_serde::from_slice(body)
                    .map(|v1::Visit { place }| Self { place, guests: 1 })
                    .map_err(|error| error.to_string()),
                _ => Err(format!("it has version {version}")),
            }
        }
    }

    const VISITS: Table<(String, i64), Visit> = Table::new(Space("visit"));
    const HEADS: Table<u8, u64> = Table::new(Space("head"));

    fn visit(place: &str) -> Visit {
        Visit {
            place: place.into(),
            guests: 2,
        }
    }

    #[test]
    fn rows_come_back_in_the_order_of_their_keys() {
        let store = MemStore::new();
        let mut batch = Batch::new();
        for (who, at) in [("ada", 5), ("ada", -5), ("bo", 0), ("ada", 1)] {
            VISITS
                .put(&mut batch, &(who.into(), at), &visit(who))
                .unwrap();
        }
        HEADS.put(&mut batch, &1, &77).unwrap();
        store.commit(batch, Durable::Yes).unwrap();
        assert_eq!(
            VISITS.get(&store, &("ada".into(), 1)).unwrap(),
            Some(visit("ada"))
        );
        assert_eq!(HEADS.get(&store, &1).unwrap(), Some(77));
        let ada = String::from("ada");
        let times = |found: Vec<((String, i64), Visit)>| -> Vec<i64> {
            found.into_iter().map(|((_, at), _)| at).collect()
        };
        let all = VISITS
            .scan_prefix(&store, &ada, Direction::Forward, 9)
            .unwrap();
        assert_eq!(times(all), [-5, 1, 5]);
        let page = VISITS
            .scan_prefix_from(&store, &ada, &(ada.clone(), 0), 9)
            .unwrap();
        assert_eq!(times(page), [1, 5]);
        assert_eq!(VISITS.last(&store, &ada).unwrap().unwrap().0.1, 5);
        assert_eq!(VISITS.rows(&store).count(), 4);
        let mut overlay = Overlay::new(&store);
        VISITS.delete(&mut overlay, &(ada.clone(), 5));
        assert_eq!(VISITS.last(&overlay, &ada).unwrap().unwrap().0.1, 1);
        assert!(!VISITS.has(&overlay, &(ada.clone(), 5)).unwrap());
        assert_eq!(VISITS.rows_of(&overlay, &ada, Direction::Back).count(), 2);
    }

    #[test]
    fn an_older_row_is_read_and_an_unknown_one_names_table_and_key() {
        let store = MemStore::new();
        let mut batch = Batch::new();
        let mut old = vec![1];
        old.extend(
            rmp_serde::to_vec_named(&v1::Visit {
                place: "stand B".into(),
            })
            .unwrap(),
        );
        batch.put(VISITS.space(), (String::from("a"), 0_i64).to_key(), old);
        batch.put(
            VISITS.space(),
            (String::from("b"), 0_i64).to_key(),
            [9, 0x80],
        );
        store.commit(batch, Durable::Yes).unwrap();
        let read = VISITS.get(&store, &("a".into(), 0)).unwrap().unwrap();
        assert_eq!((read.place.as_str(), read.guests), ("stand B", 1));
        let error = VISITS
            .get(&store, &("b".into(), 0))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("table visit") && error.contains("key 620000"),
            "{error}"
        );
        assert!(VISITS.rows(&store).nth(1).unwrap().is_err());
    }
}
