// Images and maps of a frame, and how they are colored.

const OPAQUE = 0xff000000, MAGENTA = 0xffff00ff;

/** Linear, 0 to 1, as an 8-bit sRGB value. */
function srgb(linear) {
  const value = Math.min(Math.max(linear, 0), 1);
  return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
}

/** The false color of a number from 0 to 1: [red, green, blue]. */
function heat(value) {
  const steps = DATA.heat.length - 1;
  const place = Math.min(Math.max(value, 0), 1) * steps;
  const left = Math.min(Math.floor(place), steps - 1);
  return DATA.heat[left].map((from, channel) =>
    Math.round(from + (DATA.heat[left + 1][channel] - from) * (place - left)));
}

function packedColor([red, green, blue]) {
  return (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;
}

/** One image or map; its colors follow the exposure, or the scale of its unit. */
class Layer {
  constructor(record, frame) {
    Object.assign(this, { label: record.label, unit: record.unit, steps: record.steps });
    this.width = frame.width;
    this.height = frame.height;
    this.gain = this.unit ? 1 : frame.gain;
    this.record = record;
    this.canvas = null;
  }

  get size() {
    return this.width * this.height;
  }

  get name() {
    return this.unit ? `${this.unit}: ${this.label}` : this.label;
  }

  async load() {
    this.loading ??= unpacked(this.record.data, this.size).then((codes) => {
      this.codes = codes;
    });
    return this.loading;
  }

  /** The pixel's values as they are in the file. */
  values(x, y) {
    const pixel = y * this.width + x;
    const planes = this.unit ? [0] : [0, 1, 2];
    return planes.map((plane) => number(this.codes[pixel + plane * this.size], this.steps, DATA.lowest) / this.gain);
  }

  /** A canvas of the image's size, colored for `look` = {stops, octaves}. */
  picture(look) {
    const wanted = this.unit ? scaleTop(this.unit, look) : look.stops;
    if (this.canvas && this.shown === wanted) return this.canvas;
    this.canvas ??= Object.assign(document.createElement("canvas"), { width: this.width, height: this.height });
    const image = new ImageData(this.width, this.height);
    const target = new Uint32Array(image.data.buffer);
    if (this.unit) this.colorMap(target, wanted);
    else this.expose(target, wanted);
    this.canvas.getContext("2d").putImageData(image, 0, 0);
    this.shown = wanted;
    return this.canvas;
  }

  expose(target, stops) {
    const { codes, size } = this;
    const bytes = new Uint8Array(CODES);
    for (let code = 0; code < CODES; code++) bytes[code] = srgb(number(code, this.steps, DATA.lowest) * 2 ** stops);
    for (let index = 0; index < size; index++) {
      const red = codes[index], green = codes[index + size], blue = codes[index + 2 * size];
      const whole = red !== NAN && green !== NAN && blue !== NAN;
      target[index] = whole ? OPAQUE | (bytes[blue] << 16) | (bytes[green] << 8) | bytes[red] : MAGENTA;
    }
  }

  colorMap(target, top) {
    const colors = new Uint32Array(CODES);
    for (let code = 0; code < CODES; code++) {
      colors[code] = code === NAN ? MAGENTA : packedColor(heat(number(code, this.steps, DATA.lowest) / top));
    }
    for (let index = 0; index < this.size; index++) target[index] = colors[this.codes[index]];
  }
}

/** Where the scale of a unit ends, after the slider. */
function scaleTop(unit, look) {
  return DATA.units[unit].top * 2 ** look.octaves;
}
