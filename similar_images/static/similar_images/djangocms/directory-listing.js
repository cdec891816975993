// Moves the links to similar images from below django-filer's list to the images, in both of its views.
"use strict";

(() => {
  const list = document.querySelector("[data-similar-images-links]");
  for (const link of list.querySelectorAll("[data-similar-images-of]")) {
    const box = document.querySelector(`.action-select[value="${link.dataset.similarImagesOf}"]`);
    const place = box?.closest("tr")?.querySelector(".column-action") ?? box?.closest(".list-item")?.querySelector(".item-name");
    if (!place) continue; // a list of another kind, or one without actions
    link.closest("li").remove();
    place.append(" ", link);
  }
  if (!list.querySelector("li")) list.remove();
})();
