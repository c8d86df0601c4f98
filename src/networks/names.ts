/** Networks that `penni new` can write. Apart from what builds them, for a help text needs only the names. */
export const networkNames = [
  "resnet18",
  "resnet20",
  "resnet56",
  "vgg16",
  "alexnet",
  "resnet50",
  "mobilenet_v2",
] as const;

export type NetworkName = (typeof networkNames)[number];
