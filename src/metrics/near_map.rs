//! A map for a handful of keys, of which the same one is asked for again and again.
//!
//! A core counts every content event of every stream for an environment. Events come in bursts from
//! the same one, so the place found last is looked at first; otherwise the keys, which lie side by
//! side, are searched in their order. Both are cheaper than hashing.

/// A map with the values in the order of their arrival.
#[derive(Debug, Clone)]
pub struct NearMap<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
    last: usize,
}

impl<K, V> Default for NearMap<K, V> {
    fn default() -> Self {
        Self { keys: Vec::new(), values: Vec::new(), last: 0 }
    }
}

impl<K: Copy + Eq, V: Default> NearMap<K, V> {
    /// The value of `key`, made if there is none yet.
    #[inline]
    pub fn of(&mut self, key: K) -> &mut V {
        if self.keys.get(self.last) != Some(&key) {
            self.find_or_make(key);
        }
        &mut self.values[self.last]
    }

    fn find_or_make(&mut self, key: K) {
        self.last = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.values.push(V::default());
            self.keys.len() - 1
        });
    }
}

impl<K: Copy + Eq, V> NearMap<K, V> {
    /// The value of `key`, if there is one.
    pub fn get(&self, key: K) -> Option<&V> {
        self.keys.iter().position(|known| *known == key).map(|at| &self.values[at])
    }

    /// Every key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.keys.iter().copied().zip(&self.values)
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_values_in_whatever_order_they_come() {
        let mut map: NearMap<u32, u64> = NearMap::default();
        assert!(map.is_empty());
        for key in [7, 7, 3, 7, 3, 9, 7] {
            *map.of(key) += 1;
        }
        assert_eq!(
            map.iter().map(|(key, n)| (key, *n)).collect::<Vec<_>>(),
            [(7, 4), (3, 2), (9, 1)]
        );
        assert_eq!((map.get(3), map.get(4)), (Some(&2), None));
    }
}
