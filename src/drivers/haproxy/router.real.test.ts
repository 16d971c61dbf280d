import { routerSuite } from "../../ports/router.suite.ts";
import { openFixture, send } from "./fixture.suite.ts";

routerSuite("createHaproxyRouter()", async () => {
  const fixture = await openFixture();
  const { port } = fixture.router.address();
  return {
    router: fixture.router,
    endpoint: fixture.backends.endpoint,
    request: async (host, path, headers = {}) => {
      const answer = await send(port, path, { host, headers });
      await answer.body;
      return { status: answer.status, instance: answer.instance };
    },
    hold: async (host, path) => {
      const answer = await send(port, path, { host });
      const finish = async (): Promise<boolean> => {
        fixture.backends.release();
        return answer.body.then(
          (body) => body === "done",
          () => false,
        );
      };
      return { instance: answer.instance, finish };
    },
    leave: () => fixture.again(),
    reboot: (beginning) => fixture.reboot(beginning),
    end: () => fixture.end(),
  };
});
