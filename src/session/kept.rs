//! What was found out about texts that many sessions say again and again.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;

/// Longest text whose value is kept, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A value for each text, shared by many sessions; what was not asked for lately makes room.
#[derive(Debug)]
pub struct Kept<T> {
    values: Cache<Bytes, Arc<T>>,
}

impl<T> Kept<T> {
    /// Room for as many texts.
    #[must_use]
    pub fn new(texts_max: usize) -> Self {
        Self { values: Cache::new(texts_max) }
    }

    /// What is kept for a text.
    #[must_use]
    pub fn get(&self, text: &[u8]) -> Option<Arc<T>> {
        if text.len() > TEXT_BYTES_MAX { None } else { self.values.get(text) }
    }

    /// Keeps a value, unless the text is too long.
    pub fn keep(&self, text: &[u8], value: &Arc<T>) {
        if text.len() <= TEXT_BYTES_MAX {
            // The key is a copy: the text shares memory with everything the client sent along with it.
            self.values.insert(Bytes::copy_from_slice(text), Arc::clone(value));
        }
    }
}
