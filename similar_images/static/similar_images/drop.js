// Drop or paste pictures into a form, and see them before it is sent, which happens when there is one in every place.
// The forms work without this.
"use strict";

for (const form of document.querySelectorAll("form[data-similar-images-drop]")) {
  const places = [...form.querySelectorAll(".similar-images-drop")].map((zone) => {
    const side = zone.closest("[data-similar-images-side]") || form;
    const input = side.querySelector("input[type=file]");
    const kept = side.querySelector("img.similar-images-preview");
    const preview = document.createElement("img");
    preview.className = "similar-images-preview";
    preview.alt = "";
    zone.hidden = false;

    const show = () => {
      const [file] = input.files;
      URL.revokeObjectURL(preview.src);
      if (file) {
        preview.src = URL.createObjectURL(file);
        zone.prepend(preview);
      } else {
        preview.remove();
      }
      if (kept) kept.hidden = Boolean(file);
    };
    input.addEventListener("change", show);

    const put = (file) => {
      const files = new DataTransfer();
      files.items.add(file);
      input.files = files.files;
      show();
    };
    return { zone, side, put, isEmpty: () => !input.files.length, isOpen: () => !input.files.length && !kept };
  });

  // The first picture goes where it is dropped, more of them into the other places.
  const take = (transfer, first) => {
    const files = [...transfer.files].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return false;
    const order = [first, ...places.filter((place) => place !== first)];
    order.forEach((place, number) => files[number] && place.put(files[number]));
    if (!places.some((place) => place.isOpen())) form.requestSubmit();
    return true;
  };

  for (const place of places) {
    place.side.addEventListener("dragover", (event) => {
      event.preventDefault();
      place.zone.classList.add("similar-images-over");
    });
    place.side.addEventListener("dragleave", () => place.zone.classList.remove("similar-images-over"));
    place.side.addEventListener("drop", (event) => {
      event.preventDefault();
      place.zone.classList.remove("similar-images-over");
      take(event.dataTransfer, place);
    });
  }
  document.addEventListener("paste", (event) => {
    const first = places.find((place) => place.isOpen()) || places.find((place) => place.isEmpty()) || places[0];
    if (take(event.clipboardData, first)) event.preventDefault();
  });
}
