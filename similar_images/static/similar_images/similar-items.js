// <similar-items>: the matches of an object, from the REST API, on any page and in any framework. One file, no
// dependency, no inline script or style, and nothing of an answer is ever read as HTML. docs/how-to/widgets.md.
"use strict";

(() => {
  const TEXTS = {
    empty: "",
    error: "Similar items can’t be loaded right now.",
    retry: "Try again",
    loading: "Loading similar items…",
    previous: "Previous items",
    next: "Next items",
    similarity: "{percent}% similar",
  };
  const SIZES = { grid: "(max-width: 40rem) 45vw, 14rem", row: "(max-width: 40rem) 45vw, 13rem", list: "6rem" };
  const REQUEST_ATTRIBUTES = ["src", "api", "model", "pk", "limit", "params", "credentials"];
  const DISPLAY_ATTRIBUTES = ["layout", "heading", "heading-level", "min-matches", "base"];

  const CSS = `
:host {
  --soft: var(--si-soft, light-dark(#5a6474, #a9b3c2));
  --line: var(--si-line, light-dark(#d9dee6, #3a4352));
  --mat: var(--si-mat, light-dark(#f4f6f9, #1b212b));
  --accent: var(--si-accent, light-dark(#1f6feb, #7db1ff));
  --size: var(--si-size, 11rem);
  --radius: var(--si-radius, 0.5rem);
  --gap: var(--si-gap, 1rem);
  display: block;
}
:host([hidden]) { display: none; }
section { position: relative; }
header { display: flex; gap: 0.5rem; align-items: center; justify-content: flex-end; min-height: 2.75rem; }
h2, h3, h4, h5, h6 { flex: 1; margin: 0; font-size: 1.375rem; line-height: 1.25; }
ul { margin: 0.5rem 0 1rem; padding: 0; list-style: none; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(var(--size), 45%), 1fr)); gap: var(--gap); }
.row {
  display: grid; grid-auto-flow: column; grid-auto-columns: min(var(--size), 42%); gap: var(--gap);
  padding: 4px; margin-inline: -4px; overflow-x: auto; overscroll-behavior-x: contain;
  scroll-snap-type: x proximity; scroll-padding-inline: 4px;
}
.row > li { scroll-snap-align: start; }
.list { display: grid; gap: calc(var(--gap) * 0.75); }
.list > li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: var(--gap); align-items: center; }
.list a, .list .plain { display: grid; grid-template-columns: 6rem minmax(0, 1fr); gap: var(--gap); align-items: center; }
a { display: block; color: inherit; text-decoration: none; border-radius: var(--radius); }
a:hover .title, a:focus-visible .title { text-decoration: underline; text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.frame {
  display: block; box-sizing: border-box; aspect-ratio: 1; padding: 0.5rem; overflow: hidden;
  background: var(--mat); border: 1px solid var(--line); border-radius: var(--radius);
}
img { display: block; width: 100%; height: 100%; object-fit: contain; }
.title {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
  min-height: 2.7em; margin-top: 0.4rem; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere;
}
.list .title { min-height: 0; margin: 0; }
.similarity { color: var(--soft); font-size: 0.875rem; line-height: 1.4; }
.bone { background: var(--mat); color: transparent; border-radius: 0.25rem; }
button {
  box-sizing: border-box; min-width: 2.75rem; min-height: 2.75rem; padding: 0 0.75rem; color: inherit; font: inherit;
  background: none; border: 1px solid var(--soft); border-radius: var(--radius); cursor: pointer;
}
.arrow[hidden] { display: block; visibility: hidden; } /* their place is kept, so that nothing moves */
button[aria-disabled="true"] { opacity: 0.4; cursor: default; }
.arrow { padding: 0; font-size: 1.25rem; line-height: 1; }
.message { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center; margin: 0.5rem 0; color: var(--soft); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 40rem) {
  .list > li { grid-template-columns: minmax(0, 1fr); gap: 0.25rem; }
  .list .similarity { margin-inline-start: calc(6rem + var(--gap)); }
}
@media (prefers-reduced-motion: no-preference) {
  .row { scroll-behavior: smooth; }
  .bone { animation: pulse 1.4s ease-in-out infinite alternate; }
  @keyframes pulse { to { opacity: 0.45; } }
}`;

  let sheet;

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  class SimilarItems extends HTMLElement {
    static observedAttributes = [
      ...REQUEST_ATTRIBUTES,
      ...DISPLAY_ATTRIBUTES,
      "lazy",
      ...Object.keys(TEXTS).map((name) => `text-${name}`),
    ];

    #state = "loading";
    #matches = [];
    #url = "";
    #isNear = false;
    #isScheduled = false;
    #request;
    #near;
    #resize;

    constructor() {
      super();
      sheet ||= new CSSStyleSheet();
      if (!sheet.cssRules.length) sheet.replaceSync(CSS);
      this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
    }

    connectedCallback() {
      this.#near = new IntersectionObserver(
        (entries) => {
          if (entries.some((entry) => entry.isIntersecting)) {
            this.#isNear = true;
            this.#near.disconnect();
            this.#schedule();
          }
        },
        { rootMargin: "600px" },
      );
      this.#near.observe(this);
      this.#schedule();
    }

    disconnectedCallback() {
      this.#near.disconnect();
      this.#resize?.disconnect();
      this.#request?.abort();
      this.#url = "";
    }

    attributeChangedCallback() {
      if (this.isConnected) this.#schedule();
    }

    /** The matches that are shown. */
    get results() {
      return this.#matches;
    }

    /** Ask the API again. */
    reload() {
      this.#url = "";
      this.#schedule();
    }

    // Several attributes change at once: what follows is done once.
    #schedule() {
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        if (this.isConnected) this.#update();
      });
    }

    #update() {
      const url = this.#address();
      if (url !== this.#url && (this.#isNear || !this.hasAttribute("lazy"))) {
        this.#url = url;
        this.#request?.abort();
        if (url) this.#load(url);
      }
      this.#render();
    }

    #address() {
      let path = this.getAttribute("src");
      if (!path) {
        const [model, pk] = [this.getAttribute("model"), this.getAttribute("pk")];
        if (!model || !pk) return "";
        const api = (this.getAttribute("api") || "/api/similar-images/").replace(/\/*$/, "/");
        path = `${api}${encodeURIComponent(model)}/${pk.split("/").map(encodeURIComponent).join("/")}/similar/`;
      }
      const url = new URL(path, document.baseURI);
      const params = new URLSearchParams(this.getAttribute("params") || "");
      for (const name of params.keys()) url.searchParams.delete(name); // one value counts: that of `params`
      for (const [name, value] of params) url.searchParams.append(name, value);
      if (this.hasAttribute("limit")) url.searchParams.set("limit", this.getAttribute("limit"));
      return url.href;
    }

    async #load(url) {
      const request = (this.#request = new AbortController());
      const credentials = this.getAttribute("credentials") || "same-origin";
      this.#state = "loading";
      try {
        const headers = { Accept: "application/json" };
        const answer = await fetch(url, { signal: request.signal, credentials, headers });
        // What may not be seen, or is gone, has no similar items.
        if (!answer.ok && answer.status !== 404) throw new Error(`${url} answered ${answer.status}`);
        const matches = answer.ok ? (await answer.json()).results : [];
        if (request.signal.aborted) return;
        this.#matches = matches;
        this.#state = matches.length && matches.length >= this.#number("min-matches", 1) ? "ready" : "empty";
        this.#render();
        this.#emit("load", { matches });
      } catch (error) {
        if (request.signal.aborted) return;
        this.#matches = [];
        this.#state = "error";
        this.#render();
        this.#emit("error", { error });
      }
    }

    #emit(name, detail, options) {
      const event = new CustomEvent(`similar-items:${name}`, { bubbles: true, composed: true, detail, ...options });
      return this.dispatchEvent(event);
    }

    #number(name, fallback) {
      const value = Number.parseInt(this.getAttribute(name), 10);
      return Number.isNaN(value) ? fallback : value;
    }

    #text(name) {
      return this.getAttribute(`text-${name}`) ?? TEXTS[name];
    }

    get #layout() {
      const layout = this.getAttribute("layout");
      return Object.hasOwn(SIZES, layout) ? layout : "grid";
    }

    #render() {
      const heading = this.getAttribute("heading") || "";
      const isEmpty = this.#state === "empty";
      const hasSlot = (name) => [...this.children].some((child) => child.slot === name);
      this.#resize?.disconnect();
      if (isEmpty && !this.#text("empty") && !hasSlot("empty")) {
        this.shadowRoot.replaceChildren();
        return;
      }
      const section = make("section", { part: "section", "aria-busy": String(this.#state === "loading") });
      const level = Math.min(6, Math.max(2, this.#number("heading-level", 2)));
      const title = make(`h${level}`, { part: "heading" }, make("slot", { name: "heading" }, heading));
      const hasHeading = heading || hasSlot("heading");
      if (hasHeading) {
        title.id = "heading";
        section.setAttribute("aria-labelledby", "heading");
      }
      const header = make("header", { part: "header" });
      if (hasHeading) header.append(title);
      const body = this.#body();
      if (this.#layout === "row") header.append(...this.#arrows(body));
      if (header.childNodes.length) section.append(header);
      section.append(body);
      this.shadowRoot.replaceChildren(section, make("slot"));
    }

    #body() {
      if (this.#state === "ready") {
        const list = make("ul", { class: this.#layout, part: "list", role: "list", id: "list" });
        list.append(...this.#matches.map((match, index) => this.#item(match, index)));
        return list;
      }
      if (this.#state === "loading") return this.#skeletons();
      const text = make("span", {}, this.#text(this.#state));
      const message = make("div", { class: "message", part: `message ${this.#state}`, role: "status" }, text);
      if (this.#state === "error") {
        const retry = make("button", { type: "button", part: "button retry" }, this.#text("retry"));
        retry.addEventListener("click", () => this.reload());
        message.append(retry);
      }
      const slot = make("slot", { name: this.#state });
      slot.append(message);
      return slot;
    }

    #skeletons() {
      const list = make("ul", { class: this.#layout, "aria-hidden": "true" });
      for (let index = 0; index < Math.min(24, this.#number("limit", 6)); index += 1) {
        const parts = [make("span", { class: "frame bone" }), make("span", { class: "title bone" }, " ")];
        const plain = make("span", { class: "plain" }, ...parts);
        list.append(make("li", { part: "skeleton" }, plain, make("span", { class: "similarity" }, "\u00a0")));
      }
      const slot = make("slot", { name: "loading" });
      slot.append(make("span", { class: "unseen" }, this.#text("loading")), list);
      return slot;
    }

    #item(match, index) {
      const item = make("li", { part: "item" });
      const thumbnail = match.thumbnail;
      const image = make("img", {
        alt: "",
        loading: "lazy",
        decoding: "async",
        part: "image",
        width: thumbnail?.width,
        height: thumbnail?.height,
        sizes: thumbnail?.srcset ? SIZES[this.#layout] : null,
        srcset: thumbnail?.srcset || null,
        src: thumbnail?.url || match.image,
      });
      const href = this.#link(match.url);
      const link = href ? make("a", { href, part: "link" }) : make("span", { class: "plain", part: "link" });
      link.append(make("span", { class: "frame", part: "frame" }, image));
      link.append(make("span", { class: "title", part: "title" }, match.title));
      link.addEventListener("click", (event) => {
        if (!this.#emit("select", { match, index }, { cancelable: true })) event.preventDefault();
      });
      item.append(link);
      if (!match.fallback) {
        const text = this.#text("similarity").replace("{percent}", Math.round(match.similarity));
        item.append(make("span", { class: "similarity", part: "similarity" }, text));
      }
      return item;
    }

    // Items' addresses are those of the API's site, unless `base` names another.
    #link(url) {
      if (!url) return "";
      const link = new URL(url, new URL(this.getAttribute("base") || this.#url, document.baseURI));
      return /^https?:$/.test(link.protocol) ? link.href : "";
    }

    #arrows(list) {
      const scroll = (direction) => {
        const sign = getComputedStyle(list).direction === "rtl" ? -direction : direction;
        list.scrollBy({ left: sign * Math.max(list.clientWidth * 0.85, 100) });
      };
      const arrow = (name, sign, direction) => {
        const icon = make("span", { "aria-hidden": "true" }, sign);
        const attributes = { type: "button", class: "arrow", part: `button ${name}`, hidden: "" };
        const button = make("button", { ...attributes, "aria-label": this.#text(name) }, icon);
        button.addEventListener("click", () => scroll(direction));
        return button;
      };
      const [previous, next] = [arrow("previous", "‹", -1), arrow("next", "›", 1)];
      const update = () => {
        const [position, end] = [Math.abs(list.scrollLeft), list.scrollWidth - list.clientWidth];
        previous.hidden = next.hidden = end < 2;
        previous.setAttribute("aria-disabled", String(position < 2));
        next.setAttribute("aria-disabled", String(position > end - 2));
        if (end < 2 || list.querySelector("a")) list.removeAttribute("tabindex");
        else list.tabIndex = 0; // what has no links must be scrolled by keyboard, too
      };
      if (this.#state !== "ready") return [previous, next];
      list.addEventListener("scroll", update, { passive: true });
      this.#resize = new ResizeObserver(update);
      this.#resize.observe(list);
      return [previous, next];
    }
  }

  if (!customElements.get("similar-items")) customElements.define("similar-items", SimilarItems);
})();
