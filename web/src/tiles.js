import { LimitError } from './errors.js';

const TILE_GAUSSIANS = 65536;

/** The TILE chunk (spec 4.7). */
export class TileTable {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {import('./head.js').Head} head
   * @param {import('./limits.js').Limits} limits
   */
  constructor(fields, head, limits) {
    const { tiles, layers } = head;
    fields.require(fields.left === tiles * (15 + 4 * layers), 'the tile table has a wrong length');
    this.origins = fields.list(tiles, () => fields.list(3, () => fields.u32()));
    this.bits = fields.list(tiles, () => fields.list(3, () => fields.u8('bits', 0, 21)));
    this.counts = fields.list(tiles, () => fields.list(layers, () => fields.u32()));
    /** Gaussians of each layer. */
    this.perLayer = new Array(layers).fill(0);
    for (const counts of this.counts) {
      const sum = counts.reduce((total, count) => total + count, 0);
      fields.require(sum <= TILE_GAUSSIANS, `a tile has ${sum} Gaussians`);
      counts.forEach((count, layer) => (this.perLayer[layer] += count));
    }
    const total = this.perLayer.reduce((sum, count) => sum + count, 0);
    fields.require(total === head.gaussians, 'the tiles do not hold all Gaussians');
    /** Numbers of the tiles that have Gaussians of a layer. */
    this.occupied = this.perLayer.map((_, layer) =>
      this.counts.flatMap((counts, tile) => (counts[layer] > 0 ? [tile] : [])),
    );
    const due = head.passes.reduce((sum, pass) => sum + (this.occupied[pass.layer]?.length ?? 0), 0);
    if (due > limits.dataChunks) {
      throw new LimitError(`${due} data chunks exceed the limit of ${limits.dataChunks}`);
    }
  }
}

/** The due list (spec 4.1), of which it knows the next pair (pass, tile). */
export class DueList {
  pass = 0;
  #next = 0;

  /**
   * @param {import('./head.js').Head} head
   * @param {TileTable} tiles
   */
  constructor(head, tiles) {
    this.head = head;
    this.tiles = tiles;
    this.#settle();
  }

  /** Tiles of the pass that is next; none behind the end. */
  get #occupied() {
    return this.tiles.occupied[this.head.passes[this.pass].layer] ?? [];
  }

  get finished() {
    return this.pass === this.head.passes.length;
  }

  get tile() {
    return this.#occupied[this.#next];
  }

  advance() {
    this.#next++;
    this.#settle();
  }

  #settle() {
    while (!this.finished && this.#next === this.#occupied.length) {
      this.pass++;
      this.#next = 0;
    }
  }
}
