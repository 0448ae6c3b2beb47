"use strict";
// Logarithmic codes; kpcn_core/report/codes.py tells what they mean, and is the twin of this reader.

const CODES = 0x8000, SIGN = 0x4000, INFINITE = 0x3fff, NAN = SIGN;

/** What `packed` made: Uint16Array, one plane of `size` codes after the other. */
async function unpacked(text, size) {
  const halves = await inflated(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  const count = halves.length / 2;
  const codes = new Uint16Array(count);
  for (let plane = 0; plane < count; plane += size) {
    let code = 0;
    for (let index = plane; index < plane + size; index++) {
      const zigzag = halves[index] | (halves[index + count] << 8);
      code += (zigzag >>> 1) ^ -(zigzag & 1);
      codes[index] = code;
    }
  }
  return count === 3 * size ? fromGreen(codes, size) : codes;
}

/** Green, red - green, blue - green -> red, green, blue; sums wrap as they did on the way in. */
function fromGreen(codes, size) {
  const colors = new Uint16Array(codes.length);
  for (let index = 0; index < size; index++) {
    const green = codes[index];
    colors[index] = codes[index + size] + green;
    colors[index + size] = green;
    colors[index + 2 * size] = codes[index + 2 * size] + green;
  }
  return colors;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The number that a code stands for; with 0 steps, itself. */
function number(code, steps, lowest) {
  if (code === NAN) return NaN;
  const magnitude = code & INFINITE;
  const value = magnitude === INFINITE ? Infinity
    : magnitude && steps ? 2 ** ((magnitude - 1) / steps + lowest) : magnitude;
  return code & SIGN ? -value : value;
}
