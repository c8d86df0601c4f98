import DefaultTheme from "vitepress/theme-without-fonts";
import { h } from "vue";
import kernels from "../../../../docs/images/kernels.svg";
import "./style.css";

const alt = "Sixteen kernels of a layer, the five that they share, and the sixteen made of them";

export default {
  extends: DefaultTheme,
  Layout: () =>
    h(DefaultTheme.Layout, null, {
      "home-hero-image": () => h("img", { src: kernels, alt, class: "image-src kernels" }),
    }),
};
