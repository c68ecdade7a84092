/**
 * Canonical rows (spec 2): layer after layer, within a layer tile after tile.
 *
 * @typedef {object} Segment the rows of a tile layer
 * @property {import('./tile.js').Tile} tile
 * @property {number} layer
 * @property {number} from first row of the tile
 * @property {number} to behind the last
 * @property {number} at canonical row of the first
 */

/**
 * @param {import('./tile.js').Tile[]} tiles
 * @param {number} layers
 * @returns {Segment[]}
 */
export function segmentsOf(tiles, layers) {
  const segments = [];
  let at = 0;
  for (let layer = 0; layer < layers; layer++) {
    for (const tile of tiles) {
      if (!tile?.counts[layer]) continue;
      const [from, to] = [tile.starts[layer], tile.starts[layer + 1]];
      segments.push({ tile, layer, from, to, at });
      at += to - from;
    }
  }
  return segments;
}
