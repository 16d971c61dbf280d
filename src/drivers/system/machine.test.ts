import { machineSuite } from "../../ports/machine.suite.ts";
import { systemMachine } from "./machine.ts";

machineSuite("systemMachine", systemMachine);
