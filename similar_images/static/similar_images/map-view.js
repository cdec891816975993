// The drawing of the map: points as thumbnails, moved and zoomed. It knows no page but its canvas.
"use strict";

window.similarImagesMapView = (() => {
  const Tiles = window.similarImagesTiles;
  const MARGIN = 12; // pixels around the whole map
  const MAX_SIDE = 96; // pixels of a thumbnail, at most
  const MIN_SIDE = 4;
  const SPARE = 1.6; // sides of what is drawn, in those of the canvas
  const SHEET = 1024; // points whose thumbnails are fetched together
  const AT_ONCE = 2; // answers that are waited for at a time

  return class MapView {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.layer = document.createElement("canvas"); // the thumbnails, drawn beyond the edges, to be moved as they are
      this.layer.view = null; // scale and center that it was drawn for
      this.tiles = new Tiles(() => this.refresh());
      this.count = 0;
      this.sheets = [];
      this.selected = new Set(); // points, by index
      this.current = -1;
      this.path = []; // of the lasso, in pixels
      this.center = [0.5, 0.5];
      this.scale = 0; // pixels of the whole map
      this.frame = 0;
      new ResizeObserver(() => this.resize()).observe(canvas);
    }

    // Takes what the server says of the points.
    setPoints(data) {
      const ids = new Set([...this.selected].map((index) => this.ids[index]));
      const { ids: all } = data;
      this.ids = all;
      this.count = all.length;
      this.x = Float32Array.from(data.x, (value) => value / 65535);
      this.y = Float32Array.from(data.y, (value) => value / 65535);
      this.widths = data.widths;
      this.heights = data.heights;
      this.sheets = [];
      this.sheetOf = new Int32Array(this.count).fill(-1);
      this.slotOf = new Int32Array(this.count);
      this.indexOf = new Map(all.map((id, index) => [id, index]));
      this.selected = new Set([...ids].map((id) => this.indexOf.get(id)).filter((index) => index !== undefined));
      this.current = -1;
      this.layer.view = null;
      this.resize();
    }

    // Fetches the thumbnails, those in view first. `address` tells that of a sheet by its first and last position.
    async loadTiles(ranges, address) {
      const left = ranges.map((range, number) => ({ range, number }));
      const isInView = ({ number }) => {
        for (let i = number * SHEET; i < Math.min((number + 1) * SHEET, this.count); i += 16) {
          if (this.isVisible(i)) return true;
        }
        return false;
      };
      const work = async () => {
        while (left.length) {
          const next = Math.max(left.findIndex(isInView), 0);
          const [{ range }] = left.splice(next, 1);
          this.addSheet(await this.tiles.fetch(address(...range)));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    }

    addSheet(sheet) {
      const number = this.sheets.push(sheet) - 1;
      sheet.ids.forEach((id, slot) => {
        const index = this.indexOf.get(id);
        if (index !== undefined) {
          this.sheetOf[index] = number;
          this.slotOf[index] = slot;
        }
      });
      this.refresh();
    }

    get ratio() {
      return window.devicePixelRatio || 1;
    }

    get width() {
      return this.canvas.clientWidth;
    }

    get height() {
      return this.canvas.clientHeight;
    }

    // Pixels of the whole map at which all thumbnails are in view.
    get fitScale() {
      const room = Math.min(this.width, this.height) - 2 * MARGIN;
      return Math.max(room - Math.min(MAX_SIDE, room / (Math.sqrt(this.count || 1) + 1)), 1);
    }

    get maxScale() {
      return Math.max(this.fitScale * 4, 300 * Math.sqrt(this.count));
    }

    // Pixels of a thumbnail's longer side: as much as there is room for each, on the mean.
    get side() {
      return Math.min(MAX_SIDE, Math.max(MIN_SIDE, this.scale / Math.sqrt(this.count || 1)));
    }

    resize() {
      const [width, height] = [this.width, this.height].map((side) => Math.round(side * this.ratio));
      if (!width || !height) return;
      if (this.canvas.width !== width || this.canvas.height !== height) {
        const wasWhole = !this.scale || this.scale <= this.lastFit;
        this.canvas.width = width;
        this.canvas.height = height;
        if (wasWhole) this.scale = this.fitScale;
        this.lastFit = this.fitScale;
      }
      this.move(0, 0);
    }

    fit() {
      this.center = [0.5, 0.5];
      this.scale = this.fitScale;
      this.schedule();
    }

    // Moves the map by pixels.
    move(dx, dy) {
      const keep = (value) => Math.min(1, Math.max(0, value));
      this.center = [keep(this.center[0] - dx / this.scale), keep(this.center[1] - dy / this.scale)];
      this.schedule();
    }

    // Zooms so that what is at some pixels of the canvas stays there.
    zoom(factor, x = this.width / 2, y = this.height / 2) {
      const before = this.toMap(x, y);
      this.scale = Math.min(this.maxScale, Math.max(this.fitScale, this.scale * factor));
      const after = this.toMap(x, y);
      this.center = this.center.map((value, axis) => value + before[axis] - after[axis]);
      this.move(0, 0);
    }

    toMap(x, y) {
      return [(x - this.width / 2) / this.scale + this.center[0], (y - this.height / 2) / this.scale + this.center[1]];
    }

    toCanvas(index) {
      return [
        (this.x[index] - this.center[0]) * this.scale + this.width / 2,
        (this.y[index] - this.center[1]) * this.scale + this.height / 2,
      ];
    }

    isVisible(index) {
      const [x, y] = this.toCanvas(index);
      return x >= 0 && y >= 0 && x <= this.width && y <= this.height;
    }

    visibleIndices() {
      return Array.from({ length: this.count }, (_, index) => index).filter((index) => this.isVisible(index));
    }

    // The point whose thumbnail is at some pixels of the canvas, -1 for none.
    find(x, y) {
      const reach = Math.max(this.side / 2, 8);
      let [best, nearest] = [-1, Infinity];
      for (let i = 0; i < this.count; i += 1) {
        const [px, py] = this.toCanvas(i);
        const distance = Math.hypot(px - x, py - y);
        if (Math.abs(px - x) <= reach && Math.abs(py - y) <= reach && distance < nearest) [best, nearest] = [i, distance];
      }
      return best;
    }

    // The points within a path of pixels, by the even-odd rule.
    findWithin(path) {
      const isInside = (x, y) =>
        path.reduce((inside, [ax, ay], i) => {
          const [bx, by] = path.at(i - 1);
          return ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !inside : inside;
        }, false);
      return Array.from({ length: this.count }, (_, index) => index).filter((index) => isInside(...this.toCanvas(index)));
    }

    // Has the thumbnails drawn anew, not only moved.
    refresh() {
      this.layer.view = null;
      this.schedule();
    }

    schedule() {
      this.frame ||= requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }

    draw() {
      const { context, ratio } = this;
      const style = getComputedStyle(this.canvas);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.drawLayer(style.color);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.outline(this.selected, style.getPropertyValue("accent-color"), 3);
      if (this.current >= 0) this.outline([this.current], style.color, 2, 3);
      this.drawPath(style);
    }

    // Draws the thumbnails: as they were drawn before, moved, as long as that covers the canvas.
    drawLayer(color) {
      const { layer, canvas } = this;
      const scale = this.scale * this.ratio;
      const shift = () => [0, 1].map((axis) => Math.round((layer.view.center[axis] - this.center[axis]) * scale));
      const isCovering = () => {
        if (layer.view?.scale !== scale) return false;
        const spare = [layer.width - canvas.width, layer.height - canvas.height].map((side) => side / 2);
        return shift().every((pixels, axis) => Math.abs(pixels) <= spare[axis]) || layer.view.isWhole;
      };
      if (!isCovering()) {
        const [width, height] = [canvas.width * SPARE, canvas.height * SPARE].map(Math.round);
        if (layer.width !== width || layer.height !== height) [layer.width, layer.height] = [width, height];
        const isWhole = Math.min(width, height) >= scale + 2 * this.side * this.ratio;
        layer.view = { scale, center: isWhole ? [0.5, 0.5] : [...this.center], isWhole };
        this.drawPoints(layer, this.side * this.ratio, scale, color);
      }
      const [dx, dy] = shift();
      this.context.drawImage(layer, (canvas.width - layer.width) / 2 + dx, (canvas.height - layer.height) / 2 + dy);
    }

    drawPoints(layer, side, scale, color) {
      const { ratio, x, y, sheetOf, slotOf, widths, heights } = this;
      const context = layer.getContext("2d");
      const [left, top] = [layer.width / 2 - layer.view.center[0] * scale, layer.height / 2 - layer.view.center[1] * scale];
      const [right, bottom] = [layer.width + side, layer.height + side];
      context.clearRect(0, 0, layer.width, layer.height);
      context.fillStyle = color;
      const atlases = this.sheets.map((sheet) => this.tiles.atlas(sheet, side));
      const dot = Math.max(2, Math.min(side / 2, 6 * ratio));
      context.globalAlpha = 0.6;
      for (let i = 0; i < this.count; i += 1) {
        const [px, py] = [x[i] * scale + left, y[i] * scale + top];
        if (sheetOf[i] < 0 && px > -side && py > -side && px < right && py < bottom) {
          context.fillRect(px - dot / 2, py - dot / 2, dot, dot);
        }
      }
      context.globalAlpha = 1;
      for (let i = 0; i < this.count; i += 1) {
        const px = x[i] * scale + left;
        const py = y[i] * scale + top;
        if (sheetOf[i] < 0 || px < -side || py < -side || px > right || py > bottom) continue;
        const [atlas, tile] = atlases[sheetOf[i]];
        const slot = slotOf[i];
        const width = Math.max(1, Math.round((widths[i] * tile) / Tiles.side));
        const height = Math.max(1, Math.round((heights[i] * tile) / Tiles.side));
        const drawnWidth = Math.max(1, Math.round((widths[i] * side) / Tiles.side));
        const drawnHeight = Math.max(1, Math.round((heights[i] * side) / Tiles.side));
        context.drawImage(
          atlas,
          (slot % Tiles.columns) * tile,
          Math.floor(slot / Tiles.columns) * tile,
          width,
          height,
          Math.round(px - drawnWidth / 2),
          Math.round(py - drawnHeight / 2),
          drawnWidth,
          drawnHeight,
        );
      }
    }

    outline(indices, color, width, gap = 1) {
      const { context, side } = this;
      context.strokeStyle = color;
      context.lineWidth = width;
      for (const index of indices) {
        const [x, y] = this.toCanvas(index);
        const [w, h] = [this.widths[index], this.heights[index]].map((part) => (part * side) / Tiles.side + 2 * gap);
        context.strokeRect(x - w / 2, y - h / 2, w, h);
      }
    }

    drawPath(style) {
      const { context, path } = this;
      if (path.length < 2) return;
      context.beginPath();
      path.forEach(([x, y]) => context.lineTo(x, y));
      context.closePath();
      context.strokeStyle = style.color;
      context.lineWidth = 2;
      context.setLineDash([6, 4]);
      context.stroke();
      context.setLineDash([]);
    }
  };
})();
