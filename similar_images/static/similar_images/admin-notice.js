// Shows below a file input of the admin which images are there already, as soon as a file is chosen. It never stops a
// form from being saved. Without this script, a message says so after saving.
"use strict";

(() => {
  const MAX_SENT_BYTES = 500_000; // of a larger file, a small image is sent in its place
  const SMALL_SIDE = 1024; // pixels of its long side: enough for signatures

  const requests = new WeakMap(); // by input: the request whose answer counts
  const statuses = new WeakMap(); // by input: the element for notices
  const told = new WeakSet(); // inputs whose files the user has been told about

  // The element that a notice goes to the end of: the row of a field, or the part beside the label where a row has two.
  const findPlace = (input) => {
    const row = input.closest("td, .form-row, [class*='field-']") || input.parentElement;
    if (getComputedStyle(row).display !== "flex") return row;
    return [...row.children].find((child) => child.contains(input) && child !== input) || row;
  };

  const statusOf = (input) => {
    if (!statuses.has(input)) {
      const status = document.createElement("div");
      status.className = "similar-images-status";
      status.setAttribute("role", "status"); // which is read out politely
      findPlace(input).append(status);
      statuses.set(input, status);
    }
    return statuses.get(input);
  };

  const hashOf = async (file) => {
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const makeSmaller = async (file) => {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, SMALL_SIDE / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.width * scale));
    canvas.height = Math.max(1, Math.round(image.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no image"))), "image/jpeg", 0.92);
    });
  };

  const makeBody = async (input, file) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", input.form.elements.csrfmiddlewaretoken?.value ?? "");
    const key = input.dataset.similarImagesKey;
    const rowKey = key && input.form.elements[input.name.replace(/[^-]+$/, key)];
    if (rowKey) body.append("item", rowKey.value);
    try {
      if (file.size <= MAX_SENT_BYTES) throw new Error("small enough");
      const [hash, image] = await Promise.all([hashOf(file), makeSmaller(file)]);
      body.append("sha256", hash);
      body.append("image", image, "small.jpg");
    } catch {
      body.append("image", file); // also without HTTPS, and of a format that the browser does not know
    }
    return body;
  };

  // XMLHttpRequest parses a document by itself, so that no policy on trusted types stands in the way.
  const look = async (input) => {
    requests.get(input)?.abort();
    const request = new XMLHttpRequest();
    requests.set(input, request);
    const status = statusOf(input);
    status.replaceChildren();
    told.delete(input);
    const [file] = input.files;
    if (!file) return;
    status.textContent = input.dataset.similarImagesChecking; // a large file takes a while to read and to send
    const body = await makeBody(input, file);
    if (requests.get(input) !== request) return; // another file was chosen meanwhile
    request.responseType = "document";
    request.open("POST", input.dataset.similarImagesNotice);
    request.addEventListener("load", () => {
      const notice = request.response?.querySelector(".similar-images-notice");
      status.replaceChildren();
      if (!notice) return; // logged out meanwhile, or out of order: the message after saving remains
      if (notice.children.length) status.replaceChildren(document.adoptNode(notice));
      if (request.status === 200) told.add(input);
    });
    request.addEventListener("error", () => status.replaceChildren());
    request.send(body);
  };

  // In the window that a foreign key opens to add an object: the field gets the one that is there.
  const use = (button) => {
    const { similarImagesUse: value, similarImagesTitle: title } = button.dataset;
    const field = window.opener?.document.getElementById(window.name.replace(/__\d+$/, ""));
    [...(field?.options ?? [])].filter((option) => option.value === value).forEach((option) => option.remove());
    window.opener?.dismissAddRelatedObjectPopup(window, value, title);
  };

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input[type=file][data-similar-images-notice]")) look(event.target);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-similar-images-use]");
    if (button) use(button);
  });
  // Of what the user was told, there is no message after saving. Rows may have been numbered anew since.
  document.addEventListener("formdata", (event) => {
    for (const input of event.target.querySelectorAll("[data-similar-images-notice]")) {
      if (told.has(input)) event.formData.append("similar-images-told", input.name);
    }
  });
})();
