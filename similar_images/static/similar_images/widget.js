// <similar-images-widget>: gives a row of items its buttons, and loads a lazy widget when it comes near. Without this
// script, a row scrolls, and a lazy widget is a link. A module, which runs once, however many widgets name it.
class SimilarImagesWidget extends HTMLElement {
  #near;
  #resize;

  connectedCallback() {
    if (this.dataset.src) this.#loadWhenNear();
    else this.#setUpRow();
  }

  disconnectedCallback() {
    this.#near?.disconnect();
    this.#resize?.disconnect();
  }

  #loadWhenNear() {
    const isNear = (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.#near.disconnect();
      this.#load();
    };
    this.#near = new IntersectionObserver(isNear, { rootMargin: "600px" });
    this.#near.observe(this);
  }

  // XMLHttpRequest parses a document by itself, so that no policy on trusted types stands in the way.
  #load() {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", this.dataset.src);
    request.addEventListener("load", () => {
      if (request.status !== 200) return; // the link stays
      delete this.dataset.src;
      const sections = request.response?.querySelectorAll("section.similar-images") ?? [];
      this.replaceChildren(...[...sections].map((section) => document.adoptNode(section)));
      this.#setUpRow();
    });
    request.send();
  }

  #setUpRow() {
    const list = this.querySelector(".similar-images-row");
    const [previous, next] = this.querySelectorAll(".similar-images-arrow");
    if (!list || !next) return;
    const scroll = (direction) => {
      const sign = getComputedStyle(list).direction === "rtl" ? -direction : direction;
      list.scrollBy({ left: sign * Math.max(list.clientWidth * 0.85, 100) });
    };
    previous.onclick = () => scroll(-1);
    next.onclick = () => scroll(1);
    // A button at its end stays where it is: one that vanished would take the focus along.
    const update = () => {
      const [position, end] = [Math.abs(list.scrollLeft), list.scrollWidth - list.clientWidth];
      previous.hidden = next.hidden = end < 2;
      previous.setAttribute("aria-disabled", String(position < 2));
      next.setAttribute("aria-disabled", String(position > end - 2));
    };
    list.onscroll = update;
    this.#resize = new ResizeObserver(update);
    this.#resize.observe(list);
  }
}

if (!customElements.get("similar-images-widget")) customElements.define("similar-images-widget", SimilarImagesWidget);
