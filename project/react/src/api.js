/** The shop whose API this page asks: `?shop=` of its address, or the demo's own. */
export const SHOP = new URLSearchParams(location.search).get("shop") ?? "http://127.0.0.1:8000";

/** Return the matches of a product; throws what the shop says against it. */
export async function getSimilar(pk, { limit = 6, signal } = {}) {
  const response = await fetch(`${SHOP}/api/similar-images/catalog.product/${pk}/similar/?limit=${limit}`, { signal });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.detail ?? answer.title ?? response.statusText);
  }
  return answer.results;
}
