//! What the fuzz targets can reach; it exists only under `--cfg fuzzing`.

use crate::progress::Layers;
use crate::wire::PullLine;

/// The bytes that are here and those of all layers, after each line of a pull.
pub fn pulled<'a>(lines: impl IntoIterator<Item = PullLine<'a>>) -> Vec<(u64, u64)> {
    let mut layers = Layers::default();
    lines.into_iter().map(|line| layers.take(&line.digest, line.total, line.completed)).collect()
}
