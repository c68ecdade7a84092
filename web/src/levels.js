/**
 * @typedef {object} Compensation
 * @property {number} scaleOffset
 * @property {number} spacingPull
 * @property {number} depthGain
 * @property {number} depthExponent
 *
 * @typedef {object} Level
 * @property {number} end offset of the first byte behind the level
 * @property {number} gaussians whose positions the level holds
 * @property {number} passes complete behind the level
 * @property {Compensation | null} compensation `null` where it is inactive
 * @property {Uint8Array} digest
 */

/**
 * The LEVS chunk (spec 4.6).
 *
 * @param {import('./fields.js').FieldReader} fields
 * @param {import('./head.js').Head} head
 * @returns {Level[]}
 */
export function readLevels(fields, head) {
  const script = head.passes.length;
  let before = { end: 0n, passes: 0 };
  const levels = fields.list(fields.u8('levels', 1, 255), () => {
    const end = fields.u64();
    fields.require(end > before.end, 'the ends of the levels do not increase');
    const gaussians = fields.u64();
    fields.require(gaussians <= BigInt(head.gaussians), 'a level has more Gaussians than the file');
    const passes = fields.u16('passes', script && before.passes + 1, script);
    before = { end, passes };
    const compensation = readCompensation(fields);
    fields.require(
      compensation === null || gaussians < BigInt(head.gaussians),
      'a level is compensated though it lacks nothing',
    );
    return {
      end: Number(end),
      gaussians: Number(gaussians),
      passes,
      compensation,
      digest: fields.bytes(32).slice(),
    };
  });
  fields.require(levels[levels.length - 1].passes === script, 'the last level lacks passes');
  fields.finish();
  return levels;
}

/** @returns {Compensation | null} */
function readCompensation(/** @type {import('./fields.js').FieldReader} */ fields) {
  const [scaleOffset, spacingPull, depthGain, depthExponent] = fields.list(4, () => fields.f32());
  const active = scaleOffset !== 0 || spacingPull !== 0 || depthGain !== 0 || depthExponent !== 1;
  return active ? { scaleOffset, spacingPull, depthGain, depthExponent } : null;
}

/**
 * What the level table says of Gaussians must agree with the tile table.
 *
 * @param {Level[]} levels
 * @param {import('./head.js').Head} head
 * @param {import('./tiles.js').TileTable} tiles
 * @param {import('./fields.js').FieldReader} fields of the chunk that completes the tables
 */
export function checkLevels(levels, head, tiles, fields) {
  levels.forEach((level, number) => {
    const done = head.done(level.passes);
    const held = tiles.perLayer.reduce((sum, count, layer) => sum + (done[layer] > 0 ? count : 0), 0);
    fields.require(level.gaussians === held, `level ${number + 1} miscounts its Gaussians`);
  });
}
