import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

import { SHOP } from "./api.js";
import { useSimilar } from "./useSimilar.js";

/** The web component of the shop, whose events become calls. */
function SimilarItems({ pk, onSelect }) {
  const element = useRef(null);
  useEffect(() => {
    const current = element.current;
    const select = (event) => {
      event.preventDefault();
      onSelect(event.detail.match);
    };
    current.addEventListener("similar-items:select", select);
    return () => current.removeEventListener("similar-items:select", select);
  }, [onSelect]);
  return (
    <similar-items
      ref={element}
      model="catalog.product"
      pk={pk}
      api={`${SHOP}/api/similar-images/`}
      limit="8"
      layout="row"
      heading="You may also like"
      credentials="omit"
    />
  );
}

/** The same matches by JSON, in markup of our own. */
function Cards({ pk, onSelect }) {
  const { matches, error } = useSimilar(pk, 6);
  if (error) {
    return <p role="alert">The shop could not be asked: {error.message}</p>;
  }
  return (
    <ul className="cards" aria-busy={matches === null}>
      {(matches ?? []).map((match) => (
        <li key={match.pk}>
          <button type="button" onClick={() => onSelect(match)}>
            <img src={new URL(match.image, SHOP)} alt="" width="240" height="240" />
            {match.title} <span className="muted">{Math.round(match.similarity)}%</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function App() {
  const [product, setProduct] = useState({ pk: "1", title: "product 1" });
  return (
    <main>
      <h1>Similar to {product.title}</h1>
      <p className="muted">
        A React page at {location.origin}, which asks the shop at <a href={SHOP}>{SHOP}</a>. Choose an item to see what is
        similar to it.
      </p>
      <SimilarItems pk={product.pk} onSelect={setProduct} />
      <h2>As JSON</h2>
      <Cards pk={product.pk} onSelect={setProduct} />
    </main>
  );
}

const script = document.createElement("script");
script.src = `${SHOP}/static/similar_images/similar-items.js`;
document.head.append(script);
createRoot(document.getElementById("root")).render(<App />);
