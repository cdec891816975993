// The map of images in the admin: moves, zooms, and selects. Without this script, the page has a list.
"use strict";

(() => {
  const POLL = 5000; // milliseconds until a map that is being updated is read again
  const STEP = 80; // pixels that an arrow key moves the map
  const ZOOM = 1.5;
  const CLICK = 5; // pixels that a pointer may move in a click

  const form = document.querySelector(".similar-images-map-form");
  if (!form) return;
  const section = form.querySelector(".similar-images-map-view");
  const list = form.querySelector(".similar-images-map-list");
  const canvas = section.querySelector("canvas");
  const { points, tiles, items, selected: selectedText, failed } = section.dataset;
  const status = section.querySelector("[data-role=selected]");
  const panel = section.querySelector("[data-role=item]");
  const toggle = section.querySelector("[data-do=toggle]");
  const view = new window.similarImagesMapView(canvas);
  const descriptions = new Map(); // by id of the record
  const storageKey = `similar-images-map ${location.pathname}`;

  // --- selection

  const checkedBoxes = () => [...list.querySelectorAll("input:checked")];

  const showSelection = () => {
    const count = list.disabled ? view.selected.size : checkedBoxes().length;
    form.elements.ids[0].value = list.disabled ? [...view.selected].map((index) => view.ids[index]).join() : "";
    status.textContent = `${selectedText} ${count.toLocaleString(document.documentElement.lang || undefined)}`;
    for (const button of form.querySelectorAll("button[name=action]")) {
      button.disabled = count < Number(button.dataset.min) || count > Number(button.dataset.max ?? Infinity);
    }
    view.schedule();
  };

  const select = (indices) => {
    for (const index of indices) view.selected.add(index);
    showSelection();
  };

  const toggleSelected = (index) => {
    if (index < 0) return;
    if (!view.selected.delete(index)) view.selected.add(index);
    showSelection();
  };

  const showList = (isList) => {
    for (const box of list.querySelectorAll("input")) {
      const index = view.indexOf?.get(Number(box.value));
      if (isList) box.checked = view.selected.has(index);
      else if (index !== undefined) view.selected[box.checked ? "add" : "delete"](index);
    }
    list.disabled = list.hidden = !isList;
    form.toggleAttribute("data-list", isList);
    section.querySelector(".similar-images-map-stage").hidden = isList;
    for (const button of section.querySelectorAll("[data-do]")) {
      if (button.dataset.do !== "list") button.disabled = isList;
    }
    section.querySelector("[data-do=list]").setAttribute("aria-pressed", String(isList));
    showSelection();
  };

  // --- the image that is pointed at

  const describe = async (index) => {
    const id = view.ids[index];
    if (!descriptions.has(id)) {
      const response = await fetch(items.replace("/items/0/", `/items/${id}/`));
      descriptions.set(id, response.ok ? (await response.json()).items[0] : undefined);
    }
    return descriptions.get(id);
  };

  const showItem = (item) => {
    const title = document.createElement(item?.url ? "a" : "span");
    if (item?.url) title.href = item.url;
    title.textContent = item?.title ?? "";
    const parts = [title];
    if (item?.image) {
      const image = document.createElement("img");
      image.src = item.image;
      image.alt = "";
      parts.unshift(image);
    }
    panel.replaceChildren(...parts);
    toggle.hidden = !item;
  };

  let waiting = 0;
  const pointAt = (index, delay = 100) => {
    if (index === view.current) return;
    view.current = index;
    view.schedule();
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const item = index < 0 ? undefined : await describe(index);
      if (view.current === index && index >= 0) showItem(item);
    }, delay);
  };

  const open = async (index) => {
    const item = index < 0 ? undefined : await describe(index);
    if (item?.url) location.assign(item.url);
  };

  // --- pointers

  let isLasso = false;
  let shown = -1; // the image that was pointed at before a click
  const pointers = new Map(); // by id: where each is
  let drag = null; // { start, lasso, moved }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    shown = view.current;
    drag = { start: place(event), lasso: pointers.size === 1 && (isLasso || event.shiftKey), moved: pointers.size > 1 };
    view.path = drag.lasso ? [drag.start] : [];
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!pointers.has(event.pointerId)) {
      pointAt(view.find(x, y));
      return;
    }
    const [lastX, lastY] = pointers.get(event.pointerId);
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, [x, y]);
    drag.moved ||= Math.hypot(x - drag.start[0], y - drag.start[1]) > CLICK;
    if (!drag.moved) return;
    if (drag.lasso) {
      if (Math.hypot(x - view.path.at(-1)[0], y - view.path.at(-1)[1]) > 3) view.path.push([x, y]);
      view.schedule();
    } else if (others.length) {
      const [[otherX, otherY]] = others;
      const distances = [[lastX, lastY], [x, y]].map(([px, py]) => Math.max(Math.hypot(px - otherX, py - otherY), 1));
      view.zoom(distances[1] / distances[0], (x + otherX) / 2, (y + otherY) / 2);
      view.move((x - lastX) / 2, (y - lastY) / 2);
    } else {
      view.move(x - lastX, y - lastY);
    }
  });

  const endDrag = (event, isClick) => {
    if (!pointers.delete(event.pointerId) || !drag || pointers.size) return;
    const index = view.find(...place(event));
    if (drag.lasso && drag.moved && isClick) {
      select(view.findWithin(view.path));
    } else if (isClick && !drag.moved) {
      if (event.ctrlKey || event.metaKey || event.shiftKey || isLasso) toggleSelected(index);
      else if (index >= 0 && index === shown) open(index);
      pointAt(index, 0);
    }
    view.path = [];
    drag = null;
    remember();
    view.schedule();
  };
  canvas.addEventListener("pointerup", (event) => endDrag(event, true));
  canvas.addEventListener("pointercancel", (event) => endDrag(event, false));

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      view.zoom(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 120) * 0.003), ...place(event));
      remember();
    },
    { passive: false },
  );

  // --- keys and buttons

  const walk = (step) => {
    if (!view.count) return;
    const next = view.current < 0 ? (view.visibleIndices()[0] ?? 0) : (view.current + step + view.count) % view.count;
    if (!view.isVisible(next)) view.center = [view.x[next], view.y[next]];
    pointAt(next, 0);
  };

  const actions = {
    zoomIn: () => view.zoom(ZOOM),
    zoomOut: () => view.zoom(1 / ZOOM),
    fit: () => view.fit(),
    selectView: () => select(view.visibleIndices()),
    toggle: () => toggleSelected(view.current),
    clear: () => {
      view.selected.clear();
      showSelection();
    },
    list: (button) => showList(button.getAttribute("aria-pressed") !== "true"),
    lasso: (button) => {
      isLasso = !isLasso;
      button.setAttribute("aria-pressed", String(isLasso));
    },
  };

  const keys = {
    ArrowLeft: () => view.move(STEP, 0),
    ArrowRight: () => view.move(-STEP, 0),
    ArrowUp: () => view.move(0, STEP),
    ArrowDown: () => view.move(0, -STEP),
    "+": actions.zoomIn,
    "=": actions.zoomIn,
    "-": actions.zoomOut,
    Home: actions.fit,
    PageDown: () => walk(1),
    PageUp: () => walk(-1),
    " ": actions.toggle,
    Enter: () => open(view.current),
    Escape: actions.clear,
  };

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    remember();
  });

  section.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    actions[button.dataset.do](button);
    remember();
  });

  list.addEventListener("change", showSelection);

  // --- what is kept while the page is left and come back to

  const remember = () => {
    try {
      sessionStorage.setItem(storageKey, JSON.stringify({ center: view.center, zoom: view.scale / view.fitScale }));
    } catch {
      // Storage is off; the map is shown as a whole next time.
    }
  };

  const recall = () => {
    try {
      const { center, zoom } = JSON.parse(sessionStorage.getItem(storageKey)) ?? {};
      if (center && zoom > 1) {
        view.center = center;
        view.scale = view.fitScale * zoom;
        view.move(0, 0);
      }
    } catch {
      // As above.
    }
  };

  // --- start

  const tilesAddress = (first, last) => tiles.replace("/tiles/0/0/", `/tiles/${first}/${last}/`);

  const load = async () => {
    const response = await fetch(points);
    if (!response.ok) throw new Error(String(response.status));
    const data = await response.json();
    view.setPoints(data);
    showSelection();
    await view.loadTiles(data.sheets, tilesAddress);
    if (data.busy) setTimeout(() => load().catch(() => {}), POLL);
  };

  section.hidden = false;
  showList(new URLSearchParams(location.search).has("p"));
  view.resize();
  recall();
  load().then(
    () => section.setAttribute("data-ready", ""),
    () => {
      status.textContent = failed;
      showList(true);
    },
  );
})();
