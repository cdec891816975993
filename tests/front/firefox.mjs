// Uses <similar-items> in Firefox, and prints what it saw: node firefox.mjs EXECUTABLE SITE
import puppeteer from "puppeteer-core";

const [executablePath, site] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
const told = { errors: [], counts: {} };

const open = async (name) => {
  const page = await browser.newPage();
  await page.setViewport({ width: 600, height: 800 });
  page.on("pageerror", (error) => told.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && told.errors.push(message.text()));
  await page.goto(`${site}/pages/${name}.html`);
  await page.waitForFunction(() => document.querySelector("similar-items")?.shadowRoot.querySelector("[part=item]"));
  told.counts[name] = await page.evaluate(
    () => document.querySelector("similar-items").shadowRoot.querySelectorAll("[part=item]").length,
  );
  return page;
};

const scroll = (page) =>
  page.evaluate(async () => {
    const root = document.querySelector("similar-items").shadowRoot;
    const list = root.querySelector(".row");
    const scrolled = new Promise((resolve) => list.addEventListener("scrollend", resolve, { once: true }));
    root.querySelector("[part~=next]").click();
    await scrolled;
    return list.scrollLeft;
  });

const plain = await open("plain");
await plain.evaluate(() => document.querySelector("similar-items").setAttribute("layout", "row"));
await plain.waitForFunction(() => document.querySelector("similar-items").shadowRoot.querySelector(".row"));
told.scrolled = await scroll(plain);
const frame = () => getComputedStyle(document.querySelector("similar-items").shadowRoot.querySelector(".frame")).backgroundColor;
await plain.evaluate(() => (document.documentElement.style.colorScheme = "light"));
told.background = await plain.evaluate(frame);
await plain.evaluate(() => (document.documentElement.style.colorScheme = "dark"));
told.darkBackground = await plain.evaluate(frame);
await plain.evaluate(() => {
  document.documentElement.dir = "rtl";
  document.querySelector("similar-items").setAttribute("heading", "Again");
});
await plain.waitForFunction(
  () => document.querySelector("similar-items").shadowRoot.querySelector("slot[name=heading]").textContent === "Again",
);
told.rtl = await scroll(plain);
await plain.evaluate(() => {
  const element = document.querySelector("similar-items");
  element.setAttribute("text-empty", "Nothing like it.");
  element.setAttribute("params", "min_similarity=100");
});
await plain.waitForFunction(() => document.querySelector("similar-items").shadowRoot.querySelector("[role=status]"));
told.empty = await plain.evaluate(() => document.querySelector("similar-items").shadowRoot.querySelector("[role=status]").textContent);

await open("react");
const vue = await open("vue");
told.title = await vue.evaluate(() => {
  const item = document.querySelector("similar-items").shadowRoot.querySelector("[part=item]");
  item.querySelector("a").click();
  return item.querySelector("[part=title]").textContent;
});
await vue.waitForFunction(() => document.querySelector("output").textContent);
told.selected = await vue.evaluate(() => document.querySelector("output").textContent);
await browser.close();
console.log(JSON.stringify(told));
