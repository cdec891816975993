// Drop or paste a picture into the search form, and see it before the search. The form works without this.
"use strict";

for (const form of document.querySelectorAll("form[data-similar-images-search]")) {
  const input = form.querySelector("input[type=file]");
  const zone = form.querySelector(".similar-images-drop");
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
  };

  const take = (transfer) => {
    const file = [...transfer.files].find((candidate) => candidate.type.startsWith("image/"));
    if (!file) return false;
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    show();
    form.requestSubmit();
    return true;
  };

  input.addEventListener("change", show);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("similar-images-over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("similar-images-over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("similar-images-over");
    take(event.dataTransfer);
  });
  document.addEventListener("paste", (event) => {
    if (take(event.clipboardData)) event.preventDefault();
  });
}
