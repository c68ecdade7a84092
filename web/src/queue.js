/** Bytes that have arrived and are not used yet. */
export class ByteQueue {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #borrowed = false;
  /** Byte of the file that is next. */
  offset = 0;

  get length() {
    return this.#end - this.#start;
  }

  /**
   * Add bytes. An empty queue borrows them; `keep` makes it their owner.
   *
   * @param {Uint8Array} piece
   */
  append(piece) {
    if (this.length === 0) {
      this.#adopt(piece, true);
      return;
    }
    if (this.#end + piece.length > this.#buffer.length) this.#grow(piece.length);
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Copy what is borrowed, so that the caller may change the array that it passed. */
  keep() {
    if (this.#borrowed) this.#grow(0);
  }

  /** The next `length` bytes, as a view that holds until the next `append`. */
  peek(/** @type {number} */ length) {
    return this.#buffer.subarray(this.#start, this.#start + length);
  }

  skip(/** @type {number} */ length) {
    this.#start += length;
    this.offset += length;
  }

  #adopt(/** @type {Uint8Array} */ buffer, /** @type {boolean} */ borrowed) {
    this.#buffer = buffer;
    this.#start = 0;
    this.#end = buffer.length;
    this.#borrowed = borrowed;
  }

  #grow(/** @type {number} */ more) {
    const held = this.peek(this.length);
    const grown = new Uint8Array(more === 0 ? held.length : 2 * (held.length + more));
    grown.set(held);
    this.#adopt(grown, false);
    this.#end = held.length;
  }
}
