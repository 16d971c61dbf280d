import { routerSuite } from "../../ports/router.suite.ts";
import { createMemoryRouter } from "./router.ts";

routerSuite("createMemoryRouter()", async () => {
  const router = createMemoryRouter();
  return {
    router,
    endpoint: async (instance) => ({ instance, address: "192.0.2.1", port: 8080 }),
    request: async (host, path) => {
      let request = router.request(host, path);
      while ("waits" in request) {
        await request.waits;
        request = router.request(host, path);
      }
      if (!("end" in request)) return { status: request.status, instance: "" };
      request.end(200, 3);
      return { status: 200, instance: request.instance };
    },
    hold: async (host, path) => {
      const request = router.request(host, path);
      if (!("end" in request)) throw new Error("no instance took it");
      const finish = async (): Promise<boolean> => {
        const whole = request.isOpen();
        request.end(200, 3);
        return whole;
      };
      return { instance: request.instance, finish };
    },
    leave: async () => {
      router.restart();
      return router;
    },
    reboot: async (beginning) => {
      router.reboot();
      await router.start(beginning, new AbortController().signal);
      return router;
    },
    end: () => router.stop(),
  };
});
