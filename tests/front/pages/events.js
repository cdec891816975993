// Keeps what the element says, for the tests to read.
window.events = [];
for (const name of ["load", "select", "error"]) {
  document.addEventListener(`similar-items:${name}`, (event) => {
    window.events.push([name, event.detail.match?.title ?? ""]);
    if (name === "select") event.preventDefault();
  });
}
