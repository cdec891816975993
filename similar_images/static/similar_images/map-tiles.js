// Thumbnails of the map: fetched in sheets, and kept in the sizes that they are drawn in.
"use strict";

window.similarImagesTiles = (() => {
  const SIDE = 64; // pixels of a tile
  const COLUMNS = 32; // tiles beside each other in an atlas
  const LEVELS = [32, 16, 8, 4]; // pixels of a tile in the smaller atlases
  const MAX_FULL = 8; // atlases of full size that are kept: 16 MB each

  // An answer is the length of a JSON text, the text, and JPEGs one after another, each of tiles below each other.
  const unpack = (buffer) => {
    const start = 4 + new DataView(buffer).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4)));
    let offset = start;
    const blobs = header.lengths.map((length) => {
      const blob = new Blob([new Uint8Array(buffer, offset, length)], { type: "image/jpeg" });
      offset += length;
      return blob;
    });
    return { ids: header.ids, blobs };
  };

  const makeCanvas = (width, height) => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return canvas;
  };

  // The tiles of one answer, as atlases of several sizes; the largest is made again from the JPEGs where it is needed.
  class Sheet {
    constructor({ ids, blobs }) {
      this.ids = ids;
      this.blobs = blobs;
      this.atlases = new Map();
      this.pending = null;
    }

    async decode() {
      const rows = Math.ceil(this.ids.length / COLUMNS);
      const full = makeCanvas(COLUMNS * SIDE, Math.max(rows, 1) * SIDE);
      const context = full.getContext("2d");
      const strips = await Promise.all(this.blobs.map((blob) => createImageBitmap(blob)));
      let slot = 0;
      for (const strip of strips) {
        for (let top = 0; top < strip.height; top += SIDE, slot += 1) {
          const x = (slot % COLUMNS) * SIDE;
          context.drawImage(strip, 0, top, SIDE, SIDE, x, Math.floor(slot / COLUMNS) * SIDE, SIDE, SIDE);
        }
        strip.close();
      }
      return full;
    }

    async load() {
      let larger = await this.decode();
      this.atlases.set(SIDE, larger);
      for (const side of LEVELS) {
        const atlas = makeCanvas(larger.width / 2, larger.height / 2);
        atlas.getContext("2d").drawImage(larger, 0, 0, atlas.width, atlas.height);
        this.atlases.set(side, atlas);
        larger = atlas;
      }
    }
  }

  return class Tiles {
    // `onChange` is called when there is more to draw.
    constructor(onChange) {
      this.onChange = onChange;
      this.full = []; // sheets with an atlas of full size, the one that was used last at the end
    }

    async fetch(url) {
      const response = await fetch(url);
      if (!response.ok) throw new Error(String(response.status));
      const sheet = new Sheet(unpack(await response.arrayBuffer()));
      await sheet.load();
      this.keep(sheet);
      return sheet;
    }

    keep(sheet) {
      this.full = [...this.full.filter((each) => each !== sheet), sheet];
      while (this.full.length > MAX_FULL) this.full.shift().atlases.delete(SIDE);
    }

    // The atlas to draw tiles of some pixels from, and the pixels of a tile in it.
    atlas(sheet, pixels) {
      const side = pixels > LEVELS[0] ? SIDE : LEVELS.findLast((level) => level >= pixels) ?? LEVELS[0];
      if (side === SIDE && !sheet.atlases.has(SIDE)) {
        sheet.pending ??= sheet.decode().then((full) => {
          sheet.atlases.set(SIDE, full);
          sheet.pending = null;
          this.keep(sheet);
          this.onChange();
        });
        return [sheet.atlases.get(LEVELS[0]), LEVELS[0]];
      }
      return [sheet.atlases.get(side), side];
    }

    static columns = COLUMNS;
    static side = SIDE;
  };
})();
