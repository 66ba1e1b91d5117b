-- Paths that were not found, those looked for most often first. -2 is ENOENT on every architecture. Who looked is read of the
-- first and the last event of the few paths that are shown: joining all events takes longer than all the rest.
SELECT path, hits, total, is_socket,
  (SELECT procname FROM event WHERE id = first) AS first_caller,
  (SELECT procname FROM event WHERE id = last) AS last_caller, 0 AS harmless, 0 AS makes
FROM (
  SELECT path, count(*) AS hits, count(*) OVER () AS total, min(id) AS first, max(id) AS last,
    min(is_connect) AS is_socket
  FROM (
    SELECT guest_path(s.arg0_repr, s.arg1_repr, s.arg2_repr, s.arg3_repr) AS path, s.id AS id,
      s.name = 'sys_connect' AS is_connect
    FROM syscall AS s
    WHERE s.retno = -2
      -- A program is known by argv[0]: a bare name or a path.
      AND (:procname IS NULL OR EXISTS (
        SELECT 1 FROM event AS e
        WHERE e.id = s.id
          AND (e.procname = :procname OR e.procname = :base OR (:bare AND substr(e.procname, -length(:suffix)) = :suffix))
      ))
  )
  WHERE path <> ''
  GROUP BY path
  ORDER BY hits DESC, path
  LIMIT :limit + 0 * :all
)
ORDER BY hits DESC, path
