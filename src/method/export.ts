import {
  CLASS_NAMES_KEY,
  PREPROCESSING_KEY,
  type Preprocessing,
} from "../data/preprocessing.js";
import { freshNames, usedNames } from "../graph/edit.js";
import { linkGraph } from "../graph/links.js";
import { fixBatch } from "../graph/passes/fix_input_shape.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import type { Graph, Node } from "../graph/types.js";
import { encodeModel } from "../onnx/write.js";
import { type Decomposition, recogniseDecomposition } from "../ops/decomposition.js";
import { inferGraph } from "../ops/infer.js";
import { convolutions } from "../ops/weights.js";
import { foldNormalization } from "./fold_normalization.js";
import { type LayerForm, layerForms, type LayerParts } from "./layer_forms.js";

/** The key of `metadata_props` under which a model carries its compression record as JSON. */
export const COMPRESSION_KEY = "penni.compression";
