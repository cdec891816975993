import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const [pk, setPk] = useState(1);
  const [selected, setSelected] = useState("");
  const element = useRef(null);
  useEffect(() => {
    const select = (event) => {
      event.preventDefault();
      setSelected(event.detail.match.title);
    };
    const current = element.current;
    current.addEventListener("similar-items:select", select);
    return () => current.removeEventListener("similar-items:select", select);
  }, []);
  return (
    <>
      <h1>React page {pk}</h1>
      <button onClick={() => setPk(2)}>Another item</button>
      <output>{selected}</output>
      <similar-items ref={element} model="front.item" pk={pk} limit={4} params="min_similarity=0" layout="row" heading="You may also like">
        <a slot="empty" href="/">Home</a>
      </similar-items>
    </>
  );
}

createRoot(document.querySelector("main")).render(<Page />);
