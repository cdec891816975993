// Takes images that are dropped on a form or pasted, and previews them. The form is sent once each of its slots has an
// image. Without this script the forms work with their file inputs alone.
"use strict";

for (const form of document.querySelectorAll("form[data-similar-images-drop]")) {
  const slots = [...form.querySelectorAll(".similar-images-drop")].map((zone) => {
    const side = zone.closest("[data-similar-images-side]") || form;
    const input = side.querySelector("input[type=file]");
    const storedImage = side.querySelector("img.similar-images-preview");
    const preview = document.createElement("img");
    preview.className = "similar-images-preview";
    preview.alt = "";
    zone.hidden = false;

    const showPreview = () => {
      const [file] = input.files;
      URL.revokeObjectURL(preview.src);
      if (file) {
        preview.src = URL.createObjectURL(file);
        zone.prepend(preview);
      } else {
        preview.remove();
      }
      if (storedImage) storedImage.hidden = Boolean(file);
    };
    input.addEventListener("change", showPreview);

    const setFile = (file) => {
      const transfer = new DataTransfer();
      transfer.items.add(file);
      input.files = transfer.files;
      showPreview();
    };
    const hasFile = () => input.files.length > 0;
    return { zone, side, setFile, hasFile, hasImage: () => hasFile() || storedImage };
  });

  // The first image fills the slot it is dropped on, further ones the other slots.
  const fillSlots = (transfer, firstSlot) => {
    const files = [...transfer.files].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return false;
    const ordered = [firstSlot, ...slots.filter((slot) => slot !== firstSlot)];
    ordered.forEach((slot, index) => files[index] && slot.setFile(files[index]));
    if (slots.every((slot) => slot.hasImage())) form.requestSubmit();
    return true;
  };

  for (const slot of slots) {
    slot.side.addEventListener("dragover", (event) => {
      event.preventDefault();
      slot.zone.classList.add("similar-images-over");
    });
    slot.side.addEventListener("dragleave", () => slot.zone.classList.remove("similar-images-over"));
    slot.side.addEventListener("drop", (event) => {
      event.preventDefault();
      slot.zone.classList.remove("similar-images-over");
      fillSlots(event.dataTransfer, slot);
    });
  }
  document.addEventListener("paste", (event) => {
    const slot = slots.find((slot) => !slot.hasImage()) || slots.find((slot) => !slot.hasFile()) || slots[0];
    if (fillSlots(event.clipboardData, slot)) event.preventDefault();
  });
}
