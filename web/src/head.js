import { LimitError, UnsupportedError } from './errors.js';
import { KIND_NAMES, Kind, SHAPES, SINGLE } from './kinds.js';

/** The major version that this decoder reads, with every minor version. */
const MAJOR = 1;

const EXACT = 255;

/**
 * @typedef {{ kind: number, channels: number, columns: number }} Group
 * @typedef {{ layer: number, groups: number[], exact: boolean }} Pass
 */

/** The HEAD chunk (spec 4.5) with the script (4.3). */
export class Head {
  /**
   * @param {import('./fields.js').FieldReader} fields
   * @param {import('./limits.js').Limits} limits
   */
  constructor(fields, limits) {
    readVersion(fields);
    this.gaussians = readCount(fields, limits.gaussians);
    this.layers = fields.u8('layers', 1, 16);
    this.tiles = fields.u32('tiles', 0, this.gaussians);
    this.origin = fields.list(3, () => fields.f64());
    this.gridStep = fields.f64();
    fields.require(this.gridStep > 0, 'grid_step is not positive');
    this.unitOffset = fields.list(3, () => fields.u32());
    this.unitShift = fields.u8('unit_shift', 0, 40);
    this.rounds = fields.list(this.layers, () => fields.u8('rounds', 1, 8));
    /** @type {Group[]} */
    this.groups = fields.list(fields.u8('groups'), () => readGroup(fields));
    this.#checkGroups(fields);
    const channels = this.groups.reduce((sum, group) => sum + group.channels, 0);
    if (this.gaussians * channels > limits.values) {
      throw new LimitError('Gaussians times channels exceed the limit', fields.position);
    }
    /** @type {Pass[]} */
    this.passes = fields.list(fields.u16('passes', 0, 1024), () => this.#readPass(fields));
    this.#checkScript(fields);
    fields.finish();
  }

  /** Whether the script ends with the exact pass. */
  get exact() {
    return this.passes.at(-1)?.exact ?? false;
  }

  /** Number of the only group of a kind, or -1. */
  find(/** @type {number} */ kind) {
    return this.groups.findIndex((group) => group.kind === kind);
  }

  /**
   * `done[l]`: how many groups of layer `l` are complete behind the first passes.
   *
   * @param {number} passes
   */
  done(passes) {
    const done = new Array(this.layers).fill(0);
    for (const { layer, groups } of this.passes.slice(0, passes)) {
      if (groups.length > 0) done[layer] += groups.length;
    }
    return done;
  }

  #checkGroups(/** @type {import('./fields.js').FieldReader} */ fields) {
    const { groups } = this;
    fields.require(groups.length > 0 === this.gaussians > 0, 'groups and Gaussians do not go together');
    for (const kind of SINGLE) {
      const count = groups.filter((group) => group.kind === kind).length;
      fields.require(count <= 1, `more than one group of kind ${KIND_NAMES[kind]}`);
    }
    fields.require(
      groups.length === 0 || groups[0].kind === Kind.POSITION,
      'group 0 is not of kind POSITION',
    );
  }

  #readPass(/** @type {import('./fields.js').FieldReader} */ fields) {
    const layer = fields.u8('layer');
    fields.require(layer < this.layers || layer === EXACT, `a pass names layer ${layer}`);
    const groups = fields.list(fields.u8('listed'), () =>
      fields.u8('listed group', 0, this.groups.length - 1),
    );
    return { layer, groups, exact: layer === EXACT };
  }

  #checkScript(/** @type {import('./fields.js').FieldReader} */ fields) {
    const done = new Array(this.layers).fill(0);
    this.passes.forEach(({ layer, groups, exact }, number) => {
      if (exact) {
        fields.require(number === this.passes.length - 1, 'the exact pass is not the last');
        fields.require(groups.length === 0, 'the exact pass lists groups');
        return;
      }
      fields.require(groups.length > 0, `pass ${number} lists no group`);
      for (const group of groups) {
        fields.require(group === done[layer], `pass ${number} lists group ${group} out of order`);
        fields.require(
          layer === 0 || group < done[layer - 1],
          `pass ${number} lists group ${group} before the layer below has it`,
        );
        done[layer]++;
      }
    });
    fields.require(
      done.every((count) => count === this.groups.length),
      'the script does not list every group of every layer',
    );
  }
}

function readVersion(/** @type {import('./fields.js').FieldReader} */ fields) {
  const at = fields.position;
  const major = fields.u16();
  const minor = fields.u16();
  if (major !== MAJOR) {
    throw new UnsupportedError(`bitstream version ${major}.${minor} is not supported`, at);
  }
}

function readCount(
  /** @type {import('./fields.js').FieldReader} */ fields,
  /** @type {number} */ limit,
) {
  const at = fields.position;
  const count = fields.u64();
  if (count > BigInt(limit)) throw new LimitError(`${count} Gaussians exceed the limit of ${limit}`, at);
  return Number(count);
}

/** @returns {Group} */
function readGroup(/** @type {import('./fields.js').FieldReader} */ fields) {
  const at = fields.position;
  const kind = fields.u8();
  if (kind >= KIND_NAMES.length) throw new UnsupportedError(`group kind ${kind} is unknown`, at);
  const channels = fields.u16('channels', 1, 1024);
  const columns = fields.u16('columns', 0, 1024);
  const [c, m] = SHAPES[kind] ?? [channels, kind === Kind.SCALE ? channels : columns];
  fields.require(
    channels === c && columns === m,
    `a group of kind ${KIND_NAMES[kind]} has ${channels} channels and ${columns} columns`,
  );
  return { kind, channels, columns };
}
