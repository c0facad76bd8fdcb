//! Where models come from: directories, the hub's cache, the hub itself.

pub(crate) mod files;
