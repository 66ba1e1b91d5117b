-- Calls that failed, those that last did last, and whether the same process found something of
-- that name elsewhere: a search along a path of directories is no failure. A look whose answer
-- nobody saw was at something that is there. Rows are grouped before anything is read of their
-- text: there may be millions.
WITH failed AS MATERIALIZED (
  SELECT e.proc_id AS pid, s.name AS name, s.retno AS retno,
    s.arg0_repr AS a0, s.arg1_repr AS a1, s.arg3_repr AS a3,
    CASE WHEN s.name LIKE 'sys_open%' OR s.name = 'sys_ioctl' THEN s.arg2_repr ELSE '' END AS a2,
    count(*) AS times, min(e.time_ms) AS first, max(e.time_ms) AS last, max(s.id) AS newest
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE s.retno < 0
  GROUP BY e.proc_id, s.name, s.retno, s.arg0_repr, s.arg1_repr, a2
), named AS MATERIALIZED (
  SELECT *, replace(path, rtrim(path, replace(path, '/', '')), '') AS base
  FROM (SELECT *, coalesce(guest_path(a0, a1, a2, a3), '') AS path FROM failed)
), succeeded AS MATERIALIZED (
  SELECT DISTINCT e.proc_id AS pid, s.arg0_repr AS a0, s.arg1_repr AS a1
  FROM syscall AS s JOIN event AS e USING (id)
  WHERE (s.retno >= 0 OR s.retno IS NULL) AND s.name <> 'sys_connect'
), found AS MATERIALIZED (
  SELECT DISTINCT pid, base FROM (
    SELECT pid, replace(path, rtrim(path, replace(path, '/', '')), '') AS base
    FROM (SELECT pid, coalesce(guest_path(a0, a1), '') AS path FROM succeeded)
  ) WHERE base IN (SELECT base FROM named WHERE base <> '')
)
SELECT pid, name, retno, path, times, first, last, newest,
  name NOT IN ('sys_connect', 'sys_bind') AND (pid, base) IN (SELECT pid, base FROM found),
  a0, a1, a2
FROM named
ORDER BY newest DESC
