// Lets visitors select a part of the image that they search by, with mouse, finger or keyboard; weigh what counts; see
// more matches without leaving the page, and which parts match. Without this script the page works by its form and links
// alone.
"use strict";

const setHidden = (form, name, value) => {
  const input = form.querySelector(`input[type=hidden][name=${name}]`) || document.createElement("input");
  Object.assign(input, { type: "hidden", name, value });
  if (!input.isConnected) form.append(input);
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const enableParts = (form) => {
  const area = form.querySelector("[data-similar-images-part]");
  const fields = form.querySelector("[data-similar-images-part-fields]");
  if (!area) return;
  const image = area.querySelector("img");
  const button = fields.querySelector("[data-similar-images-part-button]");
  const edges = [...fields.querySelectorAll("[data-similar-images-edge]")];
  const frame = document.createElement("div");
  frame.className = "similar-images-frame";
  area.append(frame);
  fields.hidden = false;

  let part = null; // left, top, width and height in fractions of the image

  const show = ({ withFields = true } = {}) => {
    frame.hidden = !part;
    button.setAttribute("aria-pressed", String(Boolean(part)));
    edges[0].closest("div").hidden = !part;
    area.classList.toggle("similar-images-selecting", Boolean(part));
    setHidden(form, "box", part ? part.map((number) => number.toFixed(4)).join(",") : "");
    if (!part) return;
    // The image is fitted into a padded square: the frame lies where the picture itself does.
    const [left, top, width, height] = part;
    const shown = pictureBox();
    frame.style.left = `${shown.x + left * shown.width}px`;
    frame.style.top = `${shown.y + top * shown.height}px`;
    frame.style.width = `${width * shown.width}px`;
    frame.style.height = `${height * shown.height}px`;
    if (withFields) edges.forEach((edge, index) => (edge.value = Math.round(100 * part[index])));
  };

  const pictureBox = () => {
    const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight) || 1;
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    const x = image.offsetLeft + image.clientLeft + (image.clientWidth - width) / 2;
    const y = image.offsetTop + image.clientTop + (image.clientHeight - height) / 2;
    return { x, y, width, height };
  };

  const fractionsOf = (event) => {
    const { left, top } = area.getBoundingClientRect();
    const shown = pictureBox();
    const x = (event.clientX - left - shown.x) / shown.width;
    const y = (event.clientY - top - shown.y) / shown.height;
    return [clamp(x, 0, 1), clamp(y, 0, 1)];
  };

  let start = null;
  area.addEventListener("pointerdown", (event) => {
    if (event.button || (event.pointerType !== "mouse" && !part)) return; // a finger scrolls until a part is wanted
    event.preventDefault();
    area.setPointerCapture(event.pointerId);
    start = fractionsOf(event);
  });
  area.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = fractionsOf(event);
    const size = [Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1])];
    if (Math.min(...size) < 0.02) return;
    part = [Math.min(start[0], end[0]), Math.min(start[1], end[1]), ...size];
    show();
  });
  for (const name of ["pointerup", "pointercancel"]) area.addEventListener(name, () => (start = null));

  button.addEventListener("click", () => {
    part = part ? null : [0.25, 0.25, 0.5, 0.5];
    show();
    if (!part) return;
    edges[0].focus();
    edges[0].select();
  });
  fields.addEventListener("input", () => {
    const [left, top, width, height] = edges.map((edge) => edge.valueAsNumber / 100);
    if ([left, top, width, height].some(Number.isNaN)) return;
    const [x, y] = [clamp(left, 0, 0.99), clamp(top, 0, 0.99)];
    part = [x, y, clamp(width, 0.01, 1 - x), clamp(height, 0.01, 1 - y)];
    show({ withFields: false });
  });
  fields.addEventListener("change", () => show());
  form.querySelector("input[type=file][name=image]").addEventListener("change", ({ target }) => {
    area.hidden = fields.hidden = target.files.length > 0; // the part was one of the former image
    part = null;
    show();
  });

  const former = form.querySelector("input[type=hidden][name=box]");
  const numbers = former ? former.value.split(",").map(Number) : [];
  if (numbers.length === 4 && !numbers.some(Number.isNaN)) part = numbers;
  const redraw = () => show();
  image.addEventListener("load", redraw);
  new ResizeObserver(redraw).observe(area);
  show();
};

const enableWeights = (form) => {
  const group = form.querySelector("[data-similar-images-weights]");
  const method = form.querySelector("select[name=method]");
  if (!group) return;
  group.hidden = false;
  if (method) method.closest(".similar-images-field").hidden = true; // one slider at 100 says the same
  group.addEventListener("input", () => {
    const sliders = [...group.querySelectorAll("[data-similar-images-method]")];
    if (method) method.value = "";
    const weights = sliders.map((slider) => `${slider.dataset.similarImagesMethod}:${slider.value}`);
    setHidden(form, "ranking", sliders.some((slider) => Number(slider.value)) ? weights.join(",") : "");
  });
};

const enableThreshold = (form) => {
  const number = form.querySelector("input[name=min_similarity]");
  if (!number || number.type !== "number") return;
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: number.value || number.placeholder || 0 });
  slider.setAttribute("aria-label", number.labels[0]?.textContent || "");
  slider.addEventListener("input", () => (number.value = slider.value));
  number.addEventListener("input", () => (slider.value = number.value || number.placeholder || 0));
  number.after(slider);
};

const enableCamera = (form) => {
  const camera = form.querySelector("input[type=file][capture]");
  const input = form.querySelector("input[type=file][name=image]");
  if (!camera || !matchMedia("(pointer: coarse)").matches) return;
  camera.closest("p").hidden = false;
  camera.addEventListener("change", () => {
    if (!camera.files.length) return;
    input.files = camera.files;
    form.requestSubmit();
  });
};

for (const form of document.querySelectorAll("form[data-similar-images-search]")) {
  enableParts(form);
  enableWeights(form);
  enableThreshold(form);
  enableCamera(form);
}

// XMLHttpRequest parses a document by itself, so that no policy on trusted types stands in the way.
const loadPage = (address) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", address);
    request.addEventListener("load", () => resolve({ status: request.status, page: request.response }));
    request.addEventListener("error", reject);
    request.send();
  });

const showMore = async (link) => {
  const { status, page } = await loadPage(link.href);
  if (status !== 200) throw new Error(`status ${status}`);
  const list = link.closest(".similar-images").querySelector(".similar-images-matches");
  const shown = new Set([...list.children].map((item) => item.dataset.similarImagesKey));
  const items = [...page.querySelectorAll(".similar-images-matches > li")];
  const added = items.filter((item) => !shown.has(item.dataset.similarImagesKey));
  list.append(...added.map((item) => document.adoptNode(item)));
  history.replaceState(null, "", link.href);
  const box = link.closest(".similar-images-more");
  box.querySelector("[role=status]").textContent = page.querySelector(".similar-images-more [role=status]").textContent;
  const next = page.querySelector("[data-similar-images-more]");
  if (next) link.setAttribute("href", next.getAttribute("href"));
  else {
    if (document.activeElement === link) added[0]?.querySelector("a, summary")?.focus();
    link.remove();
  }
};

document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-similar-images-more]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.getAttribute("aria-busy") === "true") return;
  link.setAttribute("aria-busy", "true");
  try {
    await showMore(link);
  } catch {
    location.assign(link.href);
  }
  link.removeAttribute("aria-busy");
});

const explain = async (details) => {
  const place = details.querySelector("[aria-live]");
  const address = details.dataset.similarImagesExplanation;
  if (!place || !address || details.dataset.similarImagesLoading) return;
  details.dataset.similarImagesLoading = "1";
  place.setAttribute("aria-busy", "true");
  try {
    const { page } = await loadPage(address);
    const found = page?.querySelector(".similar-images-explanation, .similar-images [role=alert]");
    if (!found) throw new Error("no explanation");
    const isError = found.matches("[role=alert]") || found.querySelector("[role=alert]");
    if (isError) place.append(document.adoptNode(found));
    else place.replaceChildren(document.adoptNode(found));
    if (!isError) details.removeAttribute("data-similar-images-explanation");
  } catch {
    // The sentence that is there, and the link to the comparison, stay.
  }
  place.removeAttribute("aria-busy");
  delete details.dataset.similarImagesLoading;
};

document.addEventListener("toggle", ({ target }) => target.open && target.matches("details") && explain(target), true);
