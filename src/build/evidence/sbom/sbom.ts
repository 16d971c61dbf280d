import type { StepLayer } from "../../../ports/step-runner.ts";
import { writeBill, type Bill, type BillOptions } from "./cyclonedx.ts";
import { imageFacts } from "./joined.ts";
import type { LayerReading } from "./read-layer.ts";

/**
 * The bill of materials of an image.
 *
 * @param layers lowest first
 * @param baseLayers how many of them are the base's
 * @throws {OperatorError} `VERIFICATION_FAILED` for a layer that no reader should take, `NOT_FOUND`
 */
export async function billOf(
  layers: readonly StepLayer[],
  baseLayers: number,
  options: BillOptions & LayerReading,
): Promise<Bill> {
  return writeBill(await imageFacts(layers, baseLayers, options), options);
}
