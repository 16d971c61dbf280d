import { writtenBy } from "./text.ts";

export interface NginxSite {
  /** What is read to make it. */
  readonly from: string;
  readonly port: number;
  /** Every path without a file is the app's own page. */
  readonly singlePage: boolean;
  /** A folder at the site's top whose files have their hash in their names, so that they never change; null: none. */
  readonly hashed: string | null;
}

/** As the first and only program of an instance: in the foreground, its first words to the log. */
export const nginxCommand = ["nginx", "-e", "stderr", "-g", "daemon off;"];

/**
 * Lines of an nginx.conf for a site in /srv/www: nobody's user, a read-only root with /tmp. Files of one commit have one
 * time, and those of a tree that is not committed that of the commit before, so neither time nor length tells whether a
 * text is the one that a browser has.
 *
 * @see nginx.org, modules core, http_core, http_headers and http_gzip
 */
export function nginxLines({ from, port, singlePage, hashed }: NginxSite): readonly string[] {
  const paths = singlePage ? "$uri /index.html" : "$uri $uri.html $uri/ =404";
  return [
    writtenBy(from),
    "worker_processes 1;",
    "pid /tmp/nginx.pid;",
    "error_log stderr warn;",
    "events { worker_connections 1024; }",
    "http {",
    "  include mime.types;",
    "  types { text/javascript mjs; }",
    "  default_type application/octet-stream;",
    "  access_log off;",
    "  sendfile on;",
    "  gzip on;",
    "  gzip_types text/css text/javascript application/javascript application/json image/svg+xml;",
    "  client_body_temp_path /tmp/body;",
    "  proxy_temp_path /tmp/proxy;",
    "  fastcgi_temp_path /tmp/fastcgi;",
    "  uwsgi_temp_path /tmp/uwsgi;",
    "  scgi_temp_path /tmp/scgi;",
    "  absolute_redirect off;",
    "  if_modified_since off;",
    "  server {",
    `    listen ${port}; # run.port in bronze.yaml`,
    "    root /srv/www;",
    ...(singlePage ? [] : ["    error_page 404 /404.html;"]),
    "    # Texts are sent anew each time: their time is their commit's, and says nothing about what is in them.",
    "    location / {",
    "      etag off;",
    '      add_header Last-Modified "";',
    "      add_header Cache-Control no-cache;",
    `      try_files ${paths};`,
    "    }",
    String.raw`    location ~* \.(avif|gif|ico|jpe?g|mp3|mp4|ogg|otf|pdf|png|ttf|wasm|webm|webp|woff2?|zip)$ {`,
    "      add_header Cache-Control no-cache;",
    "      try_files $uri =404;",
    "    }",
    ...(hashed === null
      ? []
      : [
          `    location ^~ /${hashed}/ {`,
          '      add_header Cache-Control "public, max-age=31536000, immutable";',
          "      try_files $uri =404;",
          "    }",
        ]),
    "  }",
    "}",
  ];
}
