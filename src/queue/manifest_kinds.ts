/** What runs fleets of workers. Apart from the manifests: a help text needs only the names. */
export const manifestKinds = ["k8s", "slurm", "systemd", "compose"] as const;

export type ManifestKind = (typeof manifestKinds)[number];
