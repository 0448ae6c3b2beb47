// What part of an image is in view, and how large; the same for all images.

const LARGEST = 256;

/** `scale`: screen pixels an image pixel; `x`, `y`: the point of the image at the centre. */
class View {
  constructor() {
    Object.assign(this, { scale: 1, x: 0, y: 0, fitted: true });
  }

  /** All of the image, in a rectangle of screen pixels. */
  fit(image, cell) {
    this.scale = Math.min(cell.width / image.width, cell.height / image.height);
    this.x = image.width / 2;
    this.y = image.height / 2;
    this.fitted = true;
  }

  /** Change the scale; the point of the image under `point` of the cell stays where it is. */
  zoom(scale, point, cell) {
    const before = this.at(point, cell);
    this.scale = Math.min(Math.max(scale, 1 / 64), LARGEST);
    const after = this.at(point, cell);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.fitted = false;
  }

  /** Move by screen pixels; the centre stays within the image. */
  pan(right, down, image) {
    this.x = Math.min(Math.max(this.x - right / this.scale, 0), image.width);
    this.y = Math.min(Math.max(this.y - down / this.scale, 0), image.height);
    this.fitted = false;
  }

  /** The point of the image under a point of the screen. */
  at(point, cell) {
    return {
      x: this.x + (point.x - cell.left - cell.width / 2) / this.scale,
      y: this.y + (point.y - cell.top - cell.height / 2) / this.scale,
    };
  }

  /** Where the image's top left corner is on the screen. */
  corner(cell) {
    return {
      x: cell.left + cell.width / 2 - this.x * this.scale,
      y: cell.top + cell.height / 2 - this.y * this.scale,
    };
  }
}

/** As many equal cells as images, in the number of columns that shows them largest. */
function gridCells(count, image, width, height, gap) {
  const grids = Array.from({ length: count }, (_, index) => {
    const columns = index + 1, rows = Math.ceil(count / columns);
    const cell = { width: (width - gap * (columns - 1)) / columns, height: (height - gap * (rows - 1)) / rows };
    return { columns, ...cell, scale: Math.min(cell.width / image.width, cell.height / image.height) };
  });
  const best = grids.reduce((one, other) => (other.scale > one.scale ? other : one));
  return Array.from({ length: count }, (_, index) => ({
    left: (index % best.columns) * (best.width + gap),
    top: Math.floor(index / best.columns) * (best.height + gap),
    width: best.width,
    height: best.height,
  }));
}
