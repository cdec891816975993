// Moves the links to similar images from above django-filer's list to the images, in both of its views.
"use strict";

(() => {
  const list = document.querySelector("[data-similar-images-links]");
  for (const link of list.querySelectorAll("[data-similar-images-of]")) {
    const box = document.querySelector(`.action-select[value="${link.dataset.similarImagesOf}"]`);
    const row = box?.closest("tr, .list-item");
    const place = row?.querySelector(".column-action, .item-name div"); // below the name, thumbnails have no room left
    if (!place) continue; // a list of another kind, or one without actions
    link.closest("li").remove();
    place.append(" ", link);
  }
  if (!list.querySelector("li")) list.remove();
})();
