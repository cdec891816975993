import { createApp, h, ref } from "vue";

createApp({
  setup() {
    const pk = ref(1);
    const selected = ref("");
    const select = (event) => {
      event.preventDefault();
      selected.value = event.detail.match.title;
    };
    return () => [
      h("h1", `Vue page ${pk.value}`),
      h("button", { onClick: () => (pk.value = 2) }, "Another item"),
      h("output", selected.value),
      h("similar-items", {
        model: "front.item",
        pk: pk.value,
        limit: 4,
        params: "min_similarity=0",
        layout: "list",
        heading: "You may also like",
        "onSimilar-items:select": select,
      }),
    ];
  },
}).mount("main");
