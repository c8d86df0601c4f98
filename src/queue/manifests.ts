import { penniVersion } from "../files/version.js";
import type { ManifestKind } from "./manifest_kinds.js";

const REDIS_IMAGE = "redis:7.4-alpine";
const NODE_IMAGE = "node:22-bookworm-slim";

/** A ready manifest, with what has to be filled in said at its top. No password is in any: they come from outside. */
export function manifest(kind: ManifestKind): string {
  return manifests[kind]();
}

const manifests: Readonly<Record<ManifestKind, () => string>> = {
  k8s: kubernetes,
  slurm,
  systemd,
  compose,
};

/**
 * What a container of a worker does, where no image with Penni in it is at hand. The worker is its one process: npx
 * would end at a SIGTERM without passing it on.
 */
const worker = (words: string): string =>
  `npm install --global penni@${penniVersion()} bullmq@^6.7.0 ioredis@^5.11.0 && exec penni worker ${words}`;

function kubernetes(): string {
  return `# A fleet of penni workers on Kubernetes.
# Before: a Secret with the queue's address and Redis's password,
#   kubectl create secret generic penni-queue --from-literal=password=PASSWORD \\
#     --from-literal=url=redis://:PASSWORD@penni-redis:6379/0
# a volume that all nodes see (ReadWriteMany) as the claim "penni-store"; the images, as a volume of the worker at the
# same path as for the sweep. The sweep runs in a pod with these volumes, too, or wherever they and Redis can be reached.
apiVersion: v1
kind: Service
metadata:
  name: penni-redis
spec:
  selector:
    app: penni-redis
  ports:
    - port: 6379
      targetPort: 6379
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: penni-redis
spec:
  accessModes:
    - ReadWriteOnce
  resources:
    requests:
      storage: 1Gi
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: penni-redis
spec:
  serviceName: penni-redis
  replicas: 1
  selector:
    matchLabels:
      app: penni-redis
  template:
    metadata:
      labels:
        app: penni-redis
    spec:
      containers:
        - name: redis
          image: ${REDIS_IMAGE}
          command:
            - sh
            - -c
            - exec redis-server --requirepass "$PASSWORD" --appendonly yes --maxmemory-policy noeviction
          env:
            - name: PASSWORD
              valueFrom:
                secretKeyRef:
                  name: penni-queue
                  key: password
          ports:
            - containerPort: 6379
          volumeMounts:
            - name: data
              mountPath: /data
      volumes:
        - name: data
          persistentVolumeClaim:
            claimName: penni-redis
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: penni-worker
spec:
  replicas: 4
  selector:
    matchLabels:
      app: penni-worker
  template:
    metadata:
      labels:
        app: penni-worker
    spec:
      # A trial writes its checkpoint and is given back.
      terminationGracePeriodSeconds: 120
      containers:
        - name: worker
          image: ${NODE_IMAGE}
          command:
            - sh
            - -c
            - ${worker("--store /store --work /work --threads 4")}
          env:
            - name: PENNI_QUEUE
              valueFrom:
                secretKeyRef:
                  name: penni-queue
                  key: url
          resources:
            requests:
              # As many as --threads says: a pod sees all processors of its node.
              cpu: "4"
              memory: 4Gi
            limits:
              memory: 8Gi
          volumeMounts:
            - name: store
              mountPath: /store
            - name: work
              mountPath: /work
      volumes:
        - name: store
          persistentVolumeClaim:
            claimName: penni-store
        - name: work
          emptyDir: {}
`;
}

function slurm(): string {
  return `#!/bin/bash
# A fleet of penni workers on Slurm: sbatch penni-workers.sh
# Before: npm install penni bullmq ioredis in the home directory; the queue's address in ~/.penni-queue (chmod 600),
# as redis://:PASSWORD@HEAD:6379/0; a store that all nodes see in PENNI_STORE.
#SBATCH --job-name=penni-worker
#SBATCH --array=1-16
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail

PENNI_QUEUE="$(cat "$HOME/.penni-queue")"
export PENNI_QUEUE
: "\${PENNI_STORE:?the directory of the store}"

# A trial writes its checkpoint and is given back before the time is over.
"$HOME/node_modules/.bin/penni" worker --store "$PENNI_STORE" --threads "$SLURM_CPUS_PER_TASK" \\
  --work "\${SLURM_TMPDIR:-/tmp}/penni-$SLURM_JOB_ID" --name "slurm-$SLURM_JOB_ID" &
worker=$!
trap 'kill -TERM "$worker"' TERM
wait "$worker" || true
# The first wait ends with the signal, the second with the worker; 143 says that it was asked to end, and has.
wait "$worker" || { status=$?; [ $status -eq 143 ] || exit $status; }
`;
}

function systemd(): string {
  return `# A penni worker as a service, as many on a machine as are started: /etc/systemd/system/penni-worker@.service
#   systemctl enable --now penni-worker@1 penni-worker@2
# Before: npm install --global penni bullmq ioredis; a user "penni"; PENNI_QUEUE=redis://:PASSWORD@HEAD:6379/0 in
# /etc/penni/queue.env (chmod 600); the store mounted at /srv/penni/store. Of several on one machine each takes all
# processors: let --threads below say what share, or start one with --jobs.
[Unit]
Description=Penni worker %i
Wants=network-online.target
After=network-online.target remote-fs.target
RequiresMountsFor=/srv/penni/store

[Service]
User=penni
EnvironmentFile=/etc/penni/queue.env
ExecStart=/usr/bin/env penni worker --store /srv/penni/store --work /var/lib/penni-worker-%i --name %H-%i
StateDirectory=penni-worker-%i
Restart=always
RestartSec=10
# 143: it was asked to end, and has.
SuccessExitStatus=143
KillMode=mixed
TimeoutStopSec=120
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths=/srv/penni/store

[Install]
WantedBy=multi-user.target
`;
}

function compose(): string {
  return `# Redis and penni workers on one machine or a swarm: docker compose up --scale worker=4
# Before: REDIS_PASSWORD in .env beside this file (letters and digits; chmod 600); the store as ./store, images that the
# sweep calls /images (or --data-map FROM=/images below) as ./images. Of several on one machine each takes all processors:
# let --threads below say what share, or start one with --jobs.
services:
  redis:
    image: ${REDIS_IMAGE}
    command:
      - sh
      - -c
      - exec redis-server --requirepass "$$REDIS_PASSWORD" --appendonly yes --maxmemory-policy noeviction
    environment:
      REDIS_PASSWORD: \${REDIS_PASSWORD:?a password for Redis}
    ports:
      - "6379:6379"
    volumes:
      - redis:/data
    healthcheck:
      test: ["CMD-SHELL", "REDISCLI_AUTH=$$REDIS_PASSWORD redis-cli ping | grep -q PONG"]
      interval: 5s
      timeout: 3s
      retries: 20
    restart: unless-stopped
  worker:
    image: ${NODE_IMAGE}
    command:
      - sh
      - -c
      - ${worker("--store /store --work /work")}
    environment:
      PENNI_QUEUE: redis://:\${REDIS_PASSWORD:?a password for Redis}@redis:6379/0
    volumes:
      - ./store:/store
      - ./images:/images:ro
      - /work
    depends_on:
      redis:
        condition: service_healthy
    stop_grace_period: 2m
    restart: unless-stopped
volumes:
  redis: {}
`;
}
