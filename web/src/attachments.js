/** Attachments: files that travel with the scene (spec 13.1). */

import { CorruptError, LimitError } from './errors.js';
import { inflate } from './inflate.js';
import { sha256 } from './sha256.js';

const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}<>:"/\\|?*]/u;
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])$/;

/** An attachment; its file is inflated when it is asked for. */
class Attachment {
  #block;
  #sha256;

  constructor(/** @type {import('./fields.js').FieldReader} */ fields) {
    this.offset = fields.position;
    this.name = readName(fields);
    this.#sha256 = fields.bytes(32).slice();
    this.size = Number(fields.u64());
    this.#block = fields.rest().slice();
  }

  /**
   * The file.
   *
   * @throws {CorruptError} it is damaged
   */
  data() {
    try {
      const data = inflate(this.#block, this.size);
      if (sha256(data).some((byte, i) => byte !== this.#sha256[i])) {
        throw new CorruptError(`the SHA-256 of attachment ${this.name} differs`);
      }
      return data;
    } catch (error) {
      throw error instanceof CorruptError ? error.located('aTCH', this.offset) : error;
    }
  }
}

/** The attachments of a file, in its order. */
export class Attachments {
  /** @type {Map<string, Attachment>} */
  #byFoldedName = new Map();
  #bytes = 0;

  add(
    /** @type {import('./fields.js').FieldReader} */ fields,
    /** @type {import('./limits.js').Limits} */ limits,
  ) {
    const attachment = new Attachment(fields);
    const folded = fold(attachment.name);
    fields.require(!this.#byFoldedName.has(folded), `attachment ${attachment.name} stands twice`);
    this.#bytes += attachment.size;
    if (this.#bytes > limits.attachedBytes) {
      throw new LimitError(`${this.#bytes} bytes of attachments exceed the limit`);
    }
    if (this.#byFoldedName.size === limits.attachments) throw new LimitError('too many attachments');
    this.#byFoldedName.set(folded, attachment);
  }

  list() {
    return [...this.#byFoldedName.values()];
  }
}

/** A base name that can be created in any folder of any system. */
function readName(/** @type {import('./fields.js').FieldReader} */ fields) {
  const bytes = fields.bytes(fields.u16('length', 1, 255));
  let name = '';
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fields.fail('the name of an attachment is not UTF-8');
  }
  const beginning = name.split('.', 1)[0].replace(/ +$/, '').toLowerCase();
  fields.require(
    !FORBIDDEN.test(name) && !/^ |[. ]$/.test(name) && !DEVICE.test(beginning),
    'the name of an attachment is not a plain file name',
  );
  return name;
}

/** NFC, full case folding, NFC. JavaScript folds by going through both cases. */
export function fold(/** @type {string} */ name) {
  const folded = Array.from(name.normalize('NFC'), (character) =>
    character === 'ı' ? character : character.toLowerCase().toUpperCase().toLowerCase(),
  );
  return folded.join('').normalize('NFC');
}
