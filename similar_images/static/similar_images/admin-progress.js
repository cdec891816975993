/* Keeps a part of a page fresh while there is work to show: the same page, read again every five seconds. */
"use strict";

(() => {
  const part = document.querySelector("[data-similar-images-working]");

  async function refresh() {
    const old = document.getElementById(part.id);
    if (!document.hidden && !old.contains(document.activeElement)) {
      try {
        const response = await fetch(location.href, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const fresh = page.getElementById(part.id);
        if (!response.ok || !fresh) {
          return; // logged out, say
        }
        old.replaceWith(fresh);
        if (fresh.dataset.similarImagesWorking !== "true") {
          fresh.querySelector("[data-similar-images-done]")?.removeAttribute("hidden");
          return;
        }
      } catch {
        // The server does not answer; it may do so later.
      }
    }
    setTimeout(refresh, 5000);
  }

  setTimeout(refresh, 5000);
})();
